import { describe, expect, onTestFinished, test } from "vitest";
import { askPeople } from "../../harness/agent/propose.ts";
import { noUsage } from "../../harness/agent/limits.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { Component, Operator, ToolResult } from "../../harness/protocol.ts";
import { openTickets, watchTickets, type Approval, type Tickets } from "../../tickets/index.ts";
import { claim, ticketFolder, violation } from "../support/ticket-folder.ts";
import { WorkBench } from "../support/work-bench.ts";

const start = { component: "tikv1", reason: "it has ended and nobody started it" };
const limits = { turns: 10, workingMs: 10_000, usd: 1, outputTokensPerTurn: 1 };

/** Does one thing, tells what came of it, and ends. */
function proposes(answers: ToolResult[], input: object = start): Operator {
  return {
    name: "proposer",
    scripted: true,
    async work(context, signal) {
      answers.push(await context.call("container_start", input, signal));
      return { ending: "escalated", reason: `waited ${context.waitedMs()} ms`, diagnosis: null, usage: noUsage };
    },
  };
}

interface Scene {
  readonly bench: WorkBench;
  readonly tickets: Tickets;
  /** Resolves with the first proposal that waits. */
  asked(): Promise<Approval>;
  /** Lets it work, while `person` does what people do. */
  work(
    person: (asked: Approval) => Promise<unknown>,
  ): Promise<{ answer: ToolResult; result: { ending: string; reason: string } }>;
}

/** One incident on a scripted cluster with a store that is down, in mode `propose`. */
async function scene(timeoutMs = 60_000): Promise<Scene> {
  const bench = new WorkBench();
  const path = `${ticketFolder()}/tickets.db`;
  const tickets = await openTickets(path, { clock: bench.clock, ids: randomIds, log: silentLog });
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  await tickets.reportViolation(violation());
  const incident = { ...(await claim(tickets)) };
  await tickets.renew(incident, 3_600_000);
  const sessionId = await tickets.startSession(incident, { operator: "proposer", scripted: true, model: null });
  await bench.cluster.engine.stop("tikv1" as Component, {}, bench.signal.signal);
  const people = askPeople({
    approvals: tickets.approvals,
    engine: bench.cluster.engine,
    incident,
    sessionId,
    operator: "proposer",
    timeoutMs,
  });
  const asked = async (): Promise<Approval> => {
    for await (const _ of watchTickets(path, { clock: bench.clock, log: silentLog, signal: bench.signal.signal })) {
      const [waiting] = await tickets.approvals.list({ status: "waiting" });
      if (waiting !== undefined) return waiting;
    }
    throw new Error("nobody asked");
  };
  return {
    bench,
    tickets,
    asked,
    async work(person) {
      const answers: ToolResult[] = [];
      const persons = asked().then(person);
      const { result } = await bench.work(proposes(answers), { mode: "propose", limits, people });
      await persons;
      return { answer: answers[0]!, result };
    },
  };
}

const statusOf = async ({ bench }: Scene) =>
  (await bench.cluster.engine.inspect("tikv1" as Component, bench.signal.signal)).status;

describe("in mode propose a write", () => {
  test("is not begun before a person approves it; then it is, once, and the transcript tells both", async () => {
    const at = await scene();
    const { answer } = await at.work(async ({ id, state }) => {
      expect(state).toMatchObject({ component: "tikv1", status: "exited" });
      expect(await statusOf(at)).toBe("exited");
      expect(at.bench.calls()).toEqual([]);
      await at.tickets.approvals.decide(id, { verdict: "approve", by: "cli:anna" });
    });
    expect(answer).toMatchObject({ isError: false, text: "tikv1: started" });
    expect(await statusOf(at)).toBe("running");
    expect(at.bench.entries[0]).toMatchObject({
      type: "reasoning",
      raw: expect.stringContaining("waits for a person"),
    });
    expect(at.bench.writes()).toEqual(["container_start tikv1"]);
    expect(await at.tickets.approvals.list()).toMatchObject([{ status: "used" }]);
  });

  test("that is rejected is an answer, with the person's reason", async () => {
    const at = await scene();
    const { answer, result } = await at.work(({ id }) =>
      at.tickets.approvals.decide(id, { verdict: "reject", by: "panel:bo", reason: "we are moving its disk" }),
    );
    expect(answer).toEqual({
      isError: true,
      exitCode: 1,
      text: "not done: a person (panel:bo) rejected it: we are moving its disk",
    });
    expect(result.ending).toBe("escalated");
    expect(await statusOf(at)).toBe("exited");
  });

  test("is refused when what it was about has changed by the time of the answer", async () => {
    const at = await scene();
    const { answer } = await at.work(async ({ id }) => {
      await at.bench.cluster.engine.start("tikv1" as Component, at.bench.signal.signal);
      await at.bench.cluster.engine.stop("tikv1" as Component, {}, at.bench.signal.signal);
      await at.bench.cluster.engine.update("tikv1" as Component, { cpus: 2 }, at.bench.signal.signal);
      await at.tickets.approvals.decide(id, { verdict: "approve", by: "cli:anna" });
    });
    expect(answer).toMatchObject({
      isError: true,
      text: expect.stringMatching(/has changed since it was proposed; look again/),
    });
    expect(await statusOf(at)).toBe("exited");
    expect(await at.tickets.approvals.list()).toMatchObject([{ status: "stale" }]);
  });

  test("that nobody answers is not done", async () => {
    const at = await scene(30_000);
    const { answer } = await at.work(() => Promise.resolve());
    expect(answer).toMatchObject({ isError: true, text: "not done: nobody approved it within 30 s" });
  });

  test("may wait longer than the operator may work: waiting is not its time", async () => {
    const at = await scene(120_000);
    const { answer, result } = await at.work(async ({ id }) => {
      // Four times the working limit, on the clock that runs while the operator waits.
      const since = at.bench.clock.monotonic();
      while (at.bench.clock.monotonic() - since < 4 * limits.workingMs) await at.bench.clock.sleep(1_000);
      await at.tickets.approvals.decide(id, { verdict: "approve", by: "cli:anna" });
    });
    expect(answer).toMatchObject({ isError: false });
    expect(result.ending).toBe("escalated");
    expect(Number(/\d+/.exec(result.reason)?.[0])).toBeGreaterThanOrEqual(4 * limits.workingMs);
  });

  test("is not carried out where nobody can be asked; reading needs nobody", async () => {
    const bench = new WorkBench();
    const answers: ToolResult[] = [];
    await bench.work(proposes(answers), { mode: "propose" });
    expect(answers).toMatchObject([{ isError: true, text: "not allowed: nobody is there to approve it" }]);
    const looks: Operator = {
      ...proposes(answers),
      work: async (context, signal) => {
        answers.push(await context.call("container_list", { reason: "what is there now?" }, signal));
        return { ending: "escalated", reason: "", diagnosis: null, usage: noUsage };
      },
    };
    await bench.work(looks, { mode: "propose" });
    expect(answers[1]).toMatchObject({ isError: false });
  });
});
