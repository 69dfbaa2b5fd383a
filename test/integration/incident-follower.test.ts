import { expect, test } from "vitest";
import { silentLog } from "../../harness/base/log.ts";
import type { TrialEvent } from "../../harness/protocol.ts";
import { RunFolder } from "../../harness/store/run-folder.ts";
import { IncidentFollower } from "../../harness/trial/incident-follower.ts";
import { Recorder } from "../../harness/trial/recorder.ts";
import type { OperatorRun } from "../../harness/trial/operator-run.ts";
import { operatorOnSteadyState } from "../../harness/trial/steady-state.ts";
import { completedRecord } from "../support/records.ts";
import { CLUSTER, claim, newTickets, NO_USAGE, ticketFolder, violation, workOn } from "../support/ticket-folder.ts";

const NOTHING_YET = {
  breachMs: null,
  ticketMs: null,
  hypothesisMs: null,
  firstWriteMs: null,
  operatorEndedMs: null,
  recoveredMs: null,
  stableMs: null,
  horizonMs: null,
};

/** A trial that has just broken `tikv1`, or is about to, with its ticket file and what it shows. */
async function trial({ counting = true } = {}) {
  const { tickets, clock } = await newTickets();
  const record = completedRecord({
    marks: { ...NOTHING_YET },
    actions: [],
    hypotheses: [],
    tickets: [],
    session: null,
  });
  const shown: TrialEvent[] = [];
  const folder = await RunFolder.create(ticketFolder());
  const run = new Recorder(record, folder, clock, (event) => shown.push(event));
  if (counting) run.startCounting();
  const follower = new IncidentFollower(tickets, CLUSTER, run, { clock, log: silentLog });
  return {
    tickets,
    clock,
    run,
    record,
    follower,
    shown,
    async [Symbol.asyncDispose]() {
      await follower[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("the first right hypothesis and the first write are marked when they began, not a wrong one and no reading", async () => {
  await using cast = await trial();
  const { tickets, clock, record, follower } = cast;
  await clock.advance(1_600);
  await tickets.reportViolation(violation());
  await follower.firstTicket;
  const incident = await claim(tickets);
  const sessionId = await tickets.startSession(incident, { operator: "scripted", scripted: true, model: null });
  const called = async (tool: string, effect: "read" | "write", params: unknown, exitCode = 0) => {
    await clock.advance(1_000);
    const startedAt = clock.now();
    await clock.advance(100);
    const at = { tool, effect, params, startedAt, endedAt: clock.now() };
    await tickets.log(sessionId, { type: "tool_result", summary: "done", exitCode, ...at });
  };
  const guess = { cause: "process-stopped", confidence: 0.5 };
  await called("container_list", "read", {});
  await called("hypothesis", "read", { ...guess, components: ["tikv0"] });
  await called("hypothesis", "read", { ...guess, components: ["tikv1"] }, 1);
  await called("hypothesis", "read", { ...guess, components: ["tikv1"], confidence: 0.9 });
  await called("hypothesis", "read", { ...guess, components: ["tikv1"], confidence: 1 });
  await called("container_start", "write", { component: "tikv1" });
  await follower.settle();
  expect(record.marks).toMatchObject({ ticketMs: 1_600, hypothesisMs: 5_900, firstWriteMs: 8_100 });
  expect(record.hypotheses.map(({ components, atMs }) => [...components, atMs])).toEqual([
    ["tikv0", 3_700],
    ["tikv1", 5_900],
    ["tikv1", 7_000],
  ]);
  expect(record.actions).toHaveLength(6);
  expect(record.actions.at(-1)).toMatchObject({ tool: "container_start", target: "tikv1", atMs: 8_100, endMs: 8_200 });
});

test("the record says which operator it was and what it cost, by its session", async () => {
  await using cast = await trial();
  const { tickets, record, follower, shown } = cast;
  await tickets.reportViolation(violation());
  const incident = await claim(tickets);
  const details = { model: "m-1", prompt: "v1 sha256:ab", briefing: "sha256:cd", prices: "2026-11-21" };
  const sessionId = await tickets.startSession(incident, {
    operator: "claude",
    scripted: false,
    model: "m-1",
    details,
  });
  const usage = { ...NO_USAGE, inputTokens: 10, outputTokens: 5, cacheReadTokens: 2, usd: 0.25, turns: 3 };
  await tickets.complete(incident, { sessionId, ending: "escalated", reason: "unsure", diagnosis: null, usage });
  await follower.settle();
  expect(record.operator).toMatchObject({
    model: "m-1",
    promptDigest: "v1 sha256:ab",
    details: { briefing: "sha256:cd", prices: "2026-11-21" },
  });
  expect(record.session).toMatchObject({ id: sessionId, ending: "escalated", reason: "unsure", usage });
  expect(record.tickets).toMatchObject([{ id: 1, invariant: "store_up", status: "diagnosed" }]);
  expect(shown.filter(({ type }) => type === "ticket")).toHaveLength(1);
});

test("a ticket of the start that is closed is not the one that the harm is to bring", async () => {
  await using cast = await trial({ counting: false });
  const { tickets, run, record, follower, clock, shown } = cast;
  await tickets.reportViolation(violation({ component: null, invariant: "client_success" }));
  await follower.catchUp();
  await tickets.resolveVerified(1);
  run.startCounting();
  let seen = false;
  void follower.firstTicket.then(() => (seen = true));
  await follower.catchUp();
  expect(shown.map(({ type }) => type)).toEqual(["ticket", "ticket-resolved"]);
  expect([seen, record.marks.ticketMs]).toEqual([false, null]);
  await clock.advance(700);
  await tickets.reportViolation(violation());
  await follower.catchUp();
  expect([seen, record.marks.ticketMs]).toEqual([true, 700]);
});

test("an operator that a ticket of its own start has taken is started again, and only the later session counts", async ({
  signal,
}) => {
  await using cast = await trial({ counting: false });
  const { tickets, run, record, follower, clock, shown } = cast;
  const { scenario } = completedRecord({});
  const sampler = { held: () => Promise.resolve(true), last: null };
  const stopped: number[] = [];
  const launch = async (): Promise<OperatorRun> => {
    const mine = stopped.length + 1;
    if (mine === 1) {
      await tickets.reportViolation(violation({ component: null, invariant: "client_success" }));
      await workOn(tickets, await claim(tickets), "no-fault");
    }
    return {
      runsIn: "in-process",
      ended: Promise.resolve({ code: 0, error: null }),
      stop: async () => void (await tickets.resolveVerified(mine)),
      [Symbol.asyncDispose]: async () => void stopped.push(mine),
    };
  };
  const again: string[] = [];
  const watched = { scenario, instance: CLUSTER, tickets, sampler, clock };
  const operator = await operatorOnSteadyState(watched, launch, (why) => again.push(why), signal);
  expect(again).toEqual([expect.stringMatching(/^while the operator started, ticket #1 is open/)]);
  expect(stopped).toEqual([1]);
  await operator?.[Symbol.asyncDispose]();
  await clock.advance(500);
  run.startCounting();
  await follower.settle();
  expect(record.session).toBe(null);
  await tickets.reportViolation(violation());
  const sessionId = await workOn(tickets, await claim(tickets), "resolved");
  await follower.settle();
  expect(record.session?.id).toBe(sessionId);
  expect(shown.filter(({ type }) => type === "ticket")).toHaveLength(2);
});
