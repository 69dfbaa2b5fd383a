/** Opens the ticket file that is named and writes one ticket. */
import { systemClock } from "../../../harness/base/clock.ts";
import { randomIds } from "../../../harness/base/ids.ts";
import { silentLog } from "../../../harness/base/log.ts";
import type { InstanceId } from "../../../harness/protocol.ts";
import { openTickets } from "../../../tickets/index.ts";

await using tickets = await openTickets(process.argv[2] ?? "", { clock: systemClock, ids: randomIds, log: silentLog });
const what = {
  invariant: "store_up",
  component: null,
  severity: "critical",
  message: "seen from a container",
} as const;
await tickets.reportViolation({ ...what, instance: "aabb" as InstanceId, snapshot: null });
