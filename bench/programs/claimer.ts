/** Claims and completes. argv: ticket file, instances, `until-empty` or `wait`. Prints the monotonic time of each claim. */
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { openTickets, watchTickets } from "../../tickets/index.ts";

const [path = "", instances = "[]", mode] = process.argv.slice(2);
const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0, turns: 0 };
const request = { instances: JSON.parse(instances) as InstanceId[], holder: `bench-${process.pid}`, leaseMs: 60_000 };
await using tickets = await openTickets(path, { ...deps, lockTimeoutMs: 60_000 });

async function claimOne(): Promise<boolean> {
  const incident = await tickets.claimNext(request);
  if (incident === null) return false;
  if (mode === "wait") process.stdout.write(`${process.hrtime.bigint()}\n`);
  const end = { sessionId: "", ending: "resolved", reason: "", diagnosis: null, usage } as const;
  await tickets.complete(incident, end);
  if (mode === "wait") await tickets.resolve(incident.tickets[0]?.id ?? 0);
  return true;
}

process.stdout.write("ready\n");
if (mode === "wait") {
  for await (const _ of watchTickets(path, { ...deps, signal: new AbortController().signal })) while (await claimOne());
} else {
  await new Promise((resolve) => process.stdin.once("data", resolve));
  while (await claimOne());
  process.exit(0);
}
