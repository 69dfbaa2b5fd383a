import { join } from "node:path";
import { expect, test } from "vitest";
import type { EpochMs } from "../../harness/base/clock.ts";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import { lab } from "../support/cli.ts";
import { CLUSTER, claim, newTickets, violation, workOn } from "../support/ticket-folder.ts";

const BEAT = { instance: CLUSTER, subject: "tikv", monitor: "m1", everyMs: 60_000, invariants: ["store_up", "p99"] };
const NOBODY = "no monitor is alive: nothing will verify this; `lab monitor run` starts one\n";

/** A ticket file and the commands on it. */
async function desk() {
  const { tickets, path, clock } = await newTickets();
  const run = (...args: string[]) => lab([...args, "--db", path], { clock, env: { HOME: join(path, "..") } });
  return { tickets, run, path };
}

test("create: for the cluster that a monitor watches, and verified by it", async () => {
  const { tickets, run } = await desk();
  await tickets.beat(BEAT);
  const create = ["ticket", "create", "--invariant", "store_up", "--store", "tikv1", "--message", "it is dead"];
  expect(await run(...create)).toEqual({ code: 0, out: "ticket #1 is open\n", err: "" });
  expect(await run(...create)).toMatchObject({ out: "ticket #1 says so already (open)\n" });
  expect(await tickets.get(1)).toMatchObject({
    instance: CLUSTER,
    component: "tikv1",
    severity: "warning",
    manual: false,
  });
});

test("create: an invariant that the monitor does not know is refused, unless nothing is to be verified", async () => {
  const { tickets, run } = await desk();
  await tickets.beat(BEAT);
  const create = ["ticket", "create", "--invariant", "stoer_up", "--message", "m"];
  expect(await run(...create)).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining("it knows store_up, p99"),
  });
  expect(await run(...create, "--manual")).toMatchObject({ code: 0, err: "" });
});

test("create: which cluster must be known; with no monitor it says that nothing will verify", async () => {
  const { run } = await desk();
  const create = ["ticket", "create", "--invariant", "store_up", "--message", "m"];
  expect(await run(...create)).toMatchObject({ code: EXIT.usage, err: expect.stringContaining("lab subject up tikv") });
  expect(await run(...create, "--instance", "aa11")).toEqual({ code: 0, out: "ticket #1 is open\n", err: NOBODY });
  await run("ticket", "create", "--invariant", "p99", "--message", "m", "--instance", "bb22");
  expect(await run(...create)).toMatchObject({ err: expect.stringContaining("say which with --instance") });
});

test("approve list: what an operator says moves no cursor and turns no letters around", async () => {
  const { tickets, run } = await desk();
  await tickets.reportViolation(violation());
  const { batchKey, holder, attempt } = await claim(tickets);
  const hostile = "a wall \u001b[1A\u009b2K\u202etibah\u007f";
  const { id } = await tickets.approvals.request({
    claim: { batchKey, holder, attempt },
    instance: CLUSTER,
    sessionId: null,
    operator: `claude\u009b2K\nff00ff00  waiting  write: container_start {}`,
    tool: "container_kill",
    input: { component: "tikv1", reason: hostile },
    effect: "write",
    state: { component: "tikv1", note: hostile },
    timeoutMs: 60_000,
  });
  const { out } = await run("approve", "list");
  // oxlint-disable-next-line no-control-regex
  expect(out.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(out.split("\n").filter((line) => /^\S/.test(line))).toEqual([expect.stringContaining(id)]);
  expect((await run("approve", id)).out).toMatch(/^approved: container_kill .*a wall/);
});

test("list, show, session list, session show: what happened, as text and as JSON", async () => {
  const { tickets, run } = await desk();
  expect((await run("ticket", "list")).out).toMatch(/^no tickets in /);
  expect((await run("session", "list")).out).toBe("no sessions\n");
  const { ticket } = await tickets.reportViolation(violation());
  const usage = { inputTokens: 100, outputTokens: 20, cacheReadTokens: 50, cacheWriteTokens: 0, usd: 0.0123, turns: 4 };
  const sessionId = await workOn(tickets, await claim(tickets), "resolved", { usage });
  expect(await run("ticket", "list")).toMatchObject({
    out: expect.stringMatching(/^#1 +diagnosed +critical +tikv1 +store_up +tikv1 does not answer\n$/),
    err: NOBODY,
  });
  expect(JSON.parse((await run("ticket", "list", "--json", "--status", "open")).out)).toEqual([]);
  const shown = (await run("ticket", "show", "#1")).out;
  expect(shown).toContain("USD 0.0123, 4 turns, 150 tokens in (50 cached), 20 out");
  expect(shown).toContain(`${sessionId}  ticket #1`);
  expect(shown).toContain("runbook (scripted)  resolved: ended resolved");
  expect(JSON.parse((await run("ticket", "show", "1", "--json")).out)).toMatchObject({
    id: ticket.id,
    usage,
    sessions: [{ sessionId }],
  });
  expect(JSON.parse((await run("session", "show", sessionId, "--json")).out)).toMatchObject({
    ending: "resolved",
    entries: [],
  });
  expect((await run("session", "list", "--ticket", "1")).out).toContain(sessionId);
});

test("session show: who worked, with what, its diagnosis and cost, and every word and call with its time", async () => {
  const { tickets, run } = await desk();
  await tickets.reportViolation(violation());
  const incident = await claim(tickets);
  const details = { model: "m-1", prompt: "v1 sha256:ab" };
  const sessionId = await tickets.startSession(incident, {
    operator: "claude",
    scripted: false,
    model: "m-1",
    details,
  });
  const at = incident.tickets[0]?.firstSeenAt as EpochMs;
  const call = { tool: "container_start", params: { component: "tikv1" }, startedAt: at, endedAt: at } as const;
  await tickets.log(sessionId, { type: "reasoning", summary: "it is stopped", startedAt: at, endedAt: at });
  await tickets.log(sessionId, { ...call, type: "tool_call", summary: "tikv1" });
  await tickets.log(sessionId, { ...call, type: "tool_result", summary: "refused", raw: "all of it", exitCode: 1 });
  const diagnosis = {
    cause: "process-stopped",
    components: ["tikv1"],
    explanation: "exit code 137",
    evidence: ["inspection"],
    done: "nothing",
    ending: "escalated",
  } as const;
  const usage = { inputTokens: 9, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0.5, turns: 2 };
  await tickets.complete(incident, { sessionId, ending: "escalated", reason: "unsure", diagnosis, usage });
  const { out } = await run("session", "show", sessionId);
  expect(out.split("\n").map((line) => line.replaceAll(/\d{4}-\S+ \S+Z/g, "<time>"))).toEqual([
    `${sessionId}  ticket #1  <time>  claude  escalated: unsure`,
    "  model      m-1",
    "  prompt     v1 sha256:ab",
    "  diagnosis  process-stopped (tikv1): exit code 137",
    "  cost       USD 0.5000, 2 turns, 9 tokens in (0 cached), 1 out",
    "  <time>  says   it is stopped",
    "  <time>  calls  container_start  tikv1",
    "  <time>  gets   container_start [1]  refused",
    "",
  ]);
  expect(JSON.parse((await run("session", "show", sessionId, "--json")).out)).toMatchObject({
    details,
    diagnosis,
    usage,
    entries: [{ type: "reasoning" }, { type: "tool_call" }, { raw: "all of it", exitCode: 1 }],
  });
});

test("hold, unhold, resolve, reopen", async () => {
  const { tickets, run } = await desk();
  await tickets.reportViolation(violation());
  expect((await run("ticket", "hold", "1")).out).toBe("ticket #1 is held\n");
  expect((await run("ticket", "list")).out).toContain("(held)");
  expect((await run("ticket", "unhold", "1")).out).toBe("ticket #1 is no longer held\n");
  expect(JSON.parse((await run("ticket", "resolve", "1", "--json")).out)).toMatchObject({ status: "resolved" });
  expect((await run("ticket", "reopen", "1")).out).toBe("ticket #1 is open again\n");
  expect(await run("ticket", "hold", "9")).toMatchObject({ code: EXIT.notFound, out: "" });
  expect(await run("session", "show", "nope")).toMatchObject({ code: EXIT.notFound });
});
