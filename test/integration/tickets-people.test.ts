import { describe, expect, test } from "vitest";
import { HarnessError } from "../../harness/base/errors.ts";
import { LeaseLostError } from "../../tickets/index.ts";
import { CLUSTER, claim, LEASE_MS, newTickets, violation, workOn } from "../support/ticket-folder.ts";

const anyone = { instances: [CLUSTER], leaseMs: LEASE_MS, holder: "agent-2" };

describe("hold", () => {
  test("stops the session at work, keeps agents and monitor off, and ends with unhold", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    expect(await tickets.hold(ticket.id)).toMatchObject({ held: true, status: "open" });
    await expect(tickets.assertHeld(incident)).rejects.toThrow(/a person holds it/);
    expect(await tickets.claimNext(anyone)).toBeNull();
    expect(await tickets.resolveVerified(ticket.id)).toBe("held");
    await tickets.unhold(ticket.id);
    expect(await tickets.claimNext(anyone)).toMatchObject({ attempt: 2 });
  });

  test("of one ticket keeps agents off its whole incident", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    await tickets.hold(ticket.id);
    expect(await tickets.claimNext(anyone)).toBeNull();
  });
});

describe("a person's word", () => {
  test("resolves whatever the state; the session at work has lost it", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    expect(await tickets.resolve(ticket.id)).toMatchObject({ status: "resolved", held: false });
    await expect(tickets.assertHeld(incident)).rejects.toThrow(LeaseLostError);
  });

  test("reopens a resolved ticket, but not beside another one of the same violation", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    await tickets.resolve(ticket.id);
    expect(await tickets.reopen(ticket.id)).toMatchObject({ status: "open", resolvedAt: null });
    await tickets.resolve(ticket.id);
    await tickets.reportViolation(violation());
    await expect(tickets.reopen(ticket.id)).rejects.toThrow(/ticket 2 is already open/);
  });

  test("does not reopen under a live claim", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    await claim(tickets);
    const refused = tickets.reopen(ticket.id);
    await expect(refused).rejects.toThrow(HarnessError);
    await expect(refused).rejects.toMatchObject({ code: "already-running" });
  });
});

describe("hand-made tickets", () => {
  test("join the incident and are verified like any other", async () => {
    const { tickets } = await newTickets();
    const seen = await tickets.reportViolation(violation());
    const made = await tickets.create({ ...violation({ invariant: "p99", component: null }), manual: false });
    expect(made).toMatchObject({ created: true, ticket: { batchKey: seen.ticket.batchKey } });
    expect(await tickets.create({ ...violation(), manual: false })).toMatchObject({ created: false });
    expect(await tickets.resolveVerified(made.ticket.id)).toBe("resolved");
  });

  test("that are manual stay apart, end at diagnosed, and only a person resolves them", async () => {
    const { tickets, clock } = await newTickets();
    await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    const { ticket } = await tickets.create({ ...violation(), manual: true });
    await workOn(tickets, await claim(tickets), "resolved");
    await workOn(tickets, await claim(tickets), "resolved");
    await clock.advance(3_600_000);
    expect((await tickets.reportViolation(violation())).action).toBe("updated");
    expect(await tickets.resolveVerified(ticket.id)).toBe("manual");
    expect(await tickets.get(ticket.id)).toMatchObject({ status: "diagnosed", manual: true });
    expect(await tickets.resolve(ticket.id)).toMatchObject({ status: "resolved" });
  });
});

describe("sessions", () => {
  test("entries come back in order with start and end, raw and summary; usage is summed over the incident", async () => {
    const { tickets, clock } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    const other = await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 2, cacheWriteTokens: 1, usd: 0.25, turns: 3 };
    const incident = await claim(tickets);
    const sessionId = await tickets.startSession(incident, { operator: "claude", scripted: false, model: "m" });
    expect(sessionId).toMatch(/^\d{8}T\d{6}-[0-9a-f]{8}$/);
    const startedAt = clock.now();
    await clock.advance(40);
    const endedAt = clock.now();
    await tickets.log(sessionId, { type: "reasoning", summary: "hm", startedAt, endedAt });
    await tickets.log(sessionId, {
      type: "tool_result",
      summary: "cut",
      raw: "the whole text",
      tool: "pd_request",
      params: { path: "/stores" },
      exitCode: 1,
      effect: "read",
      startedAt,
      endedAt,
    });
    const entries = await tickets.logEntries(sessionId);
    expect(entries).toEqual([
      expect.objectContaining({ type: "reasoning", summary: "hm", raw: "hm", tool: null, startedAt, endedAt }),
      expect.objectContaining({ raw: "the whole text", tool: "pd_request", params: { path: "/stores" }, exitCode: 1 }),
    ]);
    expect(await tickets.logEntries(sessionId, entries[0]?.id)).toHaveLength(1);
    const diagnosis = {
      cause: "process-stopped",
      components: ["tikv1"],
      explanation: "it was down",
      evidence: [],
      done: "started it",
      ending: "resolved" as const,
    };
    await tickets.complete(incident, { sessionId, ending: "limit", reason: "USD", diagnosis, usage });
    await workOn(tickets, await claim(tickets), "resolved", { usage });
    expect(await tickets.usageOf(ticket.id)).toEqual({
      ...usage,
      inputTokens: 20,
      outputTokens: 10,
      cacheReadTokens: 4,
      cacheWriteTokens: 2,
      usd: 0.5,
      turns: 6,
    });
    expect(await tickets.listSessions({ ticketId: other.ticket.id })).toHaveLength(2);
    expect(await tickets.session(sessionId)).toMatchObject({ ending: "limit", status: "failed", diagnosis });
  });

  test("a session says which operator it was: model, prompt and whatever else makes it another", async () => {
    const { tickets } = await newTickets();
    await tickets.reportViolation(violation());
    const details = { model: "m", prompt: "v1 sha256:ab", prices: "2026-11-21" };
    const started = { operator: "claude", scripted: false, model: "m", details };
    const sessionId = await tickets.startSession(await claim(tickets), started);
    expect(await tickets.session(sessionId)).toMatchObject(started);
  });

  test("a session that has ended stays as it ended", async () => {
    const { tickets } = await newTickets();
    await tickets.reportViolation(violation());
    const sessionId = await workOn(tickets, await claim(tickets), "no-fault");
    await tickets.endSession(sessionId, { ending: "lost", reason: "late" });
    expect(await tickets.session(sessionId)).toMatchObject({ ending: "no-fault", status: "resolved" });
  });
});

test("monitors are alive for three beats, and gone at once when they say so", async () => {
  const { tickets, clock } = await newTickets();
  const beat = { instance: CLUSTER, subject: "tikv", monitor: "m1", everyMs: 1_000, invariants: ["store_up"] };
  await tickets.beat(beat);
  await clock.advance(3_000);
  expect(await tickets.monitors()).toMatchObject([{ ...beat, alive: true }]);
  await clock.advance(1);
  expect(await tickets.monitors()).toMatchObject([{ alive: false }]);
  await tickets.endBeat("m1");
  expect(await tickets.monitors()).toEqual([]);
});
