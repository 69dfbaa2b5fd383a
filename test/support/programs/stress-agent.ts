/** An agent that does nothing but claim, act and complete, as fast as it can. argv: ticket file, act server, instances. */
import { systemClock } from "../../../harness/base/clock.ts";
import { randomIds } from "../../../harness/base/ids.ts";
import { silentLog } from "../../../harness/base/log.ts";
import type { Incident, InstanceId } from "../../../harness/protocol.ts";
import { LeaseLostError, openTickets, watchTickets } from "../../../tickets/index.ts";
import { STRESS } from "../stress.ts";

const [path = "", server = "", instances = "[]"] = process.argv.slice(2);
const deps = { clock: systemClock, ids: randomIds, log: silentLog };
const holder = `agent-${process.pid}`;
const request = { instances: JSON.parse(instances) as InstanceId[], holder, leaseMs: STRESS.leaseMs };
const usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0, turns: 1 };

await using tickets = await openTickets(path, { ...deps, ...STRESS });

async function act(incident: Incident, ticketId: number): Promise<void> {
  await tickets.assertHeld(incident);
  const body = JSON.stringify({ ...incident, tickets: undefined, ticketId });
  const { status } = await fetch(server, { method: "POST", body });
  if (status === 409) throw new LeaseLostError("the server refused a stale holder");
}

async function work(incident: Incident): Promise<void> {
  const sessionId = await tickets.startSession(incident, { operator: "stress", scripted: true, model: null });
  for (const ticket of incident.tickets) {
    await act(incident, ticket.id);
    await systemClock.sleep(40);
  }
  await tickets.renew(incident, STRESS.leaseMs);
  await tickets.complete(incident, { sessionId, ending: "resolved", reason: "done", diagnosis: null, usage });
}

for await (const _ of watchTickets(path, { ...deps, signal: new AbortController().signal })) {
  for (;;) {
    const incident = await tickets.claimNext(request);
    if (incident === null) break;
    await work(incident).catch((error: unknown) => {
      if (!(error instanceof LeaseLostError)) throw error;
      process.stdout.write("lost\n");
    });
  }
}
