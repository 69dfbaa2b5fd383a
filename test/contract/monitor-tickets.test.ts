import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { type MonitorEvent, runMonitor } from "../../harness/monitor/index.ts";
import type { Incident, InstanceId } from "../../harness/protocol.ts";
import { tikvInvariants } from "../../subjects/tikv/invariants/index.ts";
import { tikvObserver } from "../../subjects/tikv/observe.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { RecordedPd } from "../support/recorded-pd.ts";

const INSTANCE = "a1b2c3d4" as InstanceId;
const FAULT_AT_MS = 30_000;

let folder: string;
let clock: ManualClock;
let tickets: Tickets;
let events: string[];
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "monitor-"));
  clock = new ManualClock();
  tickets = await openTickets(path.join(folder, "tickets.db"), { clock, ids: randomIds, log: silentLog });
  events = [];
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await running;
  await tickets[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Plays a recorded timeline to a monitor that writes a real ticket file. */
function play(timeline: string): void {
  const pd = new RecordedPd(timeline, clock, FAULT_AT_MS);
  const observe = tikvObserver({ pdMembers: pd.members }, { clock, fetch: pd.fetch });
  const instance = { id: INSTANCE, subject: "tikv", timeFactor: 1, invariants: tikvInvariants(), observe };
  const onEvent = (event: MonitorEvent): void => {
    if (event.type === "ticket") events.push(event.action);
    if (event.type === "ticket-resolved") events.push("resolved");
    if (event.type === "problem") events.push(event.text);
  };
  running = runMonitor(
    { instance, tickets, deps: { clock, log: silentLog, ids: randomIds }, intervalMs: 500, onEvent },
    stop.signal,
  );
}

/** Seconds since the fault. */
async function until(seconds: number): Promise<void> {
  await clock.advance(FAULT_AT_MS + seconds * 1_000 - clock.monotonic());
}

async function claim(leaseMs: number): Promise<Incident> {
  const incident = await tickets.claimNext({ instances: [INSTANCE], holder: "agent-1", leaseMs });
  if (incident === null) throw new Error("nothing to claim");
  return incident;
}

async function complete(incident: Incident): Promise<void> {
  const sessionId = await tickets.startSession(incident, { operator: "noop", scripted: true, model: null });
  const usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0, turns: 0 };
  await tickets.complete(incident, { sessionId, ending: "resolved", reason: "done", diagnosis: null, usage });
}

test("violations that overlap are one incident", async () => {
  play("timeline-pd-quorum-lost");
  await until(30);
  const open = await tickets.unresolved(INSTANCE);
  expect(open.map(({ invariant, component }) => [invariant, component]).sort()).toEqual([
    ["pd_leader", null],
    ["pd_member_up", "pd0"],
    ["pd_member_up", "pd1"],
    ["pd_quorum", null],
  ]);
  expect(new Set(open.map(({ batchKey }) => batchKey)).size).toBe(1);
  expect((await claim(60_000)).tickets).toHaveLength(4);
});

test("an operator's word resolves nothing: still violated after the verify window is open again", async () => {
  play("timeline-store-kill");
  await until(17);
  await complete(await claim(60_000));
  await until(30);
  expect(events).toEqual(["opened"]);
  await until(50);
  expect(events).toEqual(["opened", "reopened"]);
  // The store is Up again at 55.8 s.
  await until(65);
  expect(events).toEqual(["opened", "reopened", "resolved"]);
});

test("a ticket under a live claim is resolved when the session has ended", async () => {
  play("timeline-store-kill");
  await until(17);
  const incident = await claim(120_000);
  await until(75);
  expect(events).toEqual(["opened"]);
  await complete(incident);
  await until(77);
  expect(events).toEqual(["opened", "resolved"]);
});

test("a person's hold keeps a ticket until it is let go", async () => {
  play("timeline-store-kill");
  await until(17);
  const [ticket] = await tickets.unresolved(INSTANCE);
  await tickets.hold(ticket?.id ?? 0);
  await until(75);
  expect(events).toEqual(["opened"]);
  await tickets.unhold(ticket?.id ?? 0);
  await until(77);
  expect(events).toEqual(["opened", "resolved"]);
});
