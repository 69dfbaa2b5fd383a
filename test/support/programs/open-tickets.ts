/** Opens a ticket file, writes to it, and prints what went wrong: `code message`. */
import { systemClock } from "../../../harness/base/clock.ts";
import { HarnessError } from "../../../harness/base/errors.ts";
import { randomIds } from "../../../harness/base/ids.ts";
import { silentLog } from "../../../harness/base/log.ts";
import { openTickets } from "../../../tickets/index.ts";

try {
  await using tickets = await openTickets(process.argv[2] ?? "", {
    clock: systemClock,
    ids: randomIds,
    log: silentLog,
  });
  await tickets.endBeat("nobody");
  process.stdout.write("ok\n");
} catch (error) {
  process.stdout.write(error instanceof HarnessError ? `${error.code} ${error.message}\n` : `${String(error)}\n`);
}
