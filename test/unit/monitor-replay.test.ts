import { expect, test } from "vitest";
import { silentLog } from "../../harness/base/log.ts";
import { type MonitorEvent, runMonitor, trackKey } from "../../harness/monitor/index.ts";
import type { InstanceId, Invariant } from "../../harness/protocol.ts";
import { tikvInvariants } from "../../subjects/tikv/invariants/index.ts";
import type { TikvObservation } from "../../subjects/tikv/observation.ts";
import { tikvObserver } from "../../subjects/tikv/observe.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryTickets } from "../support/monitor-tickets.ts";
import { RecordedPd } from "../support/recorded-pd.ts";

/** Long enough for the first PD leader to be believed. */
const BEFORE_MS = 30_000;
const AFTER_MS = 45_000;

/**
 * Every ticket that a monitor opens which sees PD and nothing else: no probes, engine, Prometheus or clients. Seconds
 * since the fault: opened and resolved no earlier than, no later than. PD itself needs 14.6 s to miss a store.
 */
const EXPECTED: Readonly<Record<string, readonly (readonly [string, [number, number], [number, number]])[]>> = {
  "store-kill": [["critical store_up:tikv1", [14.6, 17], [60, 63]]],
  "store-pause": [["critical store_up:tikv2", [14.6, 17], [53, 56]]],
  "store-quorum-lost": [
    ["critical store_up:tikv1", [11.6, 14], [46, 48]],
    ["critical store_up:tikv0", [19.1, 22], [45, 48]],
  ],
  // None for the stores that a new leader calls Disconnected at 11 to 14 s, nor for an election as such.
  "pd-leader-kill": [
    ["critical pd_member_up:pd2", [1, 3], [35, 38]],
    ["warning pd_quorum", [5, 8], [40, 43]],
  ],
  // The recorder itself noticed the silence only after its own 5 s time-out.
  "pd-leader-pause": [
    ["critical pd_member_up:pd0", [6.5, 9], [35, 38]],
    ["warning pd_quorum", [10, 13], [40, 43]],
  ],
  // Connected again after 30 s, but in contact with the others only after 54.7 s.
  "pd-leader-isolated": [
    ["critical pd_member_up:pd1", [1, 3], [59.6, 62]],
    ["warning pd_quorum", [5, 8], [64.6, 67]],
  ],
  "pd-quorum-lost": [
    ["critical pd_member_up:pd0", [1, 3], [76, 79]],
    ["critical pd_member_up:pd1", [1, 3], [76, 79]],
    ["critical pd_quorum", [5, 8], [81, 84]],
    ["critical pd_leader", [15, 18], [76, 79]],
  ],
};

test.each(Object.keys(EXPECTED))("timeline-%s opens exactly the expected tickets, and resolves them", async (name) => {
  const expected = EXPECTED[name] ?? [];
  const { opened, resolved } = await replay(name, tikvInvariants());
  expect([...opened.keys()].sort()).toEqual(expected.map(([ticket]) => ticket).sort());
  for (const [ticket, [from, to], [resolvedFrom, resolvedTo]] of expected) {
    expect(opened.get(ticket), `${ticket} opened`).toSatisfy((at: number) => at >= from && at <= to);
    const resolvedAt = resolved.get(ticket.replace(/^\w+ /, ""));
    expect(resolvedAt, `${ticket} resolved`).toSatisfy((at: number) => at >= resolvedFrom && at <= resolvedTo);
  }
});

test.each(["pd-leader-kill", "pd-leader-isolated", "pd-quorum-lost"])(
  "timeline-%s has the flash of Disconnected stores that trust in an old leader keeps out",
  async (name) => {
    const hasty = tikvInvariants(0.001).filter((invariant) => invariant.name === "store_up");
    const { opened } = await replay(name, hasty);
    expect(opened.size).toBeGreaterThan(1);
  },
);

/** @returns when each ticket was opened and resolved, in seconds since the fault. */
async function replay(name: string, invariants: readonly Invariant<TikvObservation>[]) {
  const clock = new ManualClock();
  const pd = new RecordedPd(`timeline-${name}`, clock, BEFORE_MS);
  const seconds = () => (clock.monotonic() - BEFORE_MS) / 1000;
  const tickets = new MemoryTickets(() => clock.now());
  const opened = new Map<string, number>();
  const resolved = new Map<string, number>();
  const problems: string[] = [];
  const onEvent = (event: MonitorEvent) => {
    if (event.type === "problem") problems.push(event.text);
    if (event.type !== "ticket" && event.type !== "ticket-resolved") return;
    const { invariant, component, severity } = event.ticket;
    const key = trackKey(invariant, component);
    if (event.type === "ticket") opened.set(`${severity} ${key}`, seconds());
    else resolved.set(key, seconds());
  };
  const instance = {
    id: "i1" as InstanceId,
    subject: "tikv",
    timeFactor: 1,
    invariants,
    observe: tikvObserver({ pdMembers: pd.members }, { clock, fetch: pd.fetch }),
  };
  const stop = new AbortController();
  const deps = { clock, log: silentLog, ids: { hex: () => "00" } };
  const running = runMonitor({ instance, tickets, deps, intervalMs: 500, onEvent }, stop.signal);
  await clock.advance(BEFORE_MS + pd.lastsMs + AFTER_MS);
  stop.abort();
  await running;
  expect(problems).toEqual([]);
  return { opened, resolved };
}
