import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../harness/protocol.ts";
import { LeaseLostError } from "../../tickets/index.ts";
import { CLUSTER, claim, LEASE_MS, newTickets, violation, workOn } from "../support/ticket-folder.ts";

const OTHER = "ffeeddcc00112233" as InstanceId;
const both = { instances: [CLUSTER, OTHER], leaseMs: LEASE_MS };

describe("incidents", () => {
  test("violations that overlap on one instance are one incident, claimed with all its tickets", async () => {
    const { tickets } = await newTickets();
    await tickets.reportViolation(violation());
    await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    await tickets.reportViolation(violation({ instance: OTHER }));
    const incident = await claim(tickets);
    expect(incident.tickets.map((t) => t.invariant)).toEqual(["store_up", "p99"]);
    expect(incident).toMatchObject({ instance: CLUSTER, attempt: 1, holder: "agent-1" });
  });

  test("the same violation seen again is the same ticket; on another instance it is another", async () => {
    const { tickets } = await newTickets();
    const first = await tickets.reportViolation(violation({ severity: "warning" }));
    const again = await tickets.reportViolation(violation({ severity: "critical" }));
    const elsewhere = await tickets.reportViolation(violation({ instance: OTHER }));
    expect(again).toMatchObject({
      action: "updated",
      ticket: { id: first.ticket.id, occurrences: 2, severity: "critical" },
    });
    expect(elsewhere.action).toBe("opened");
    expect(elsewhere.ticket.batchKey).not.toBe(first.ticket.batchKey);
  });

  test("a violation after everything was resolved is a new incident", async () => {
    const { tickets } = await newTickets();
    const first = await tickets.reportViolation(violation());
    await tickets.resolveVerified(first.ticket.id);
    const second = await tickets.reportViolation(violation());
    expect(second.action).toBe("opened");
    expect(second.ticket.batchKey).not.toBe(first.ticket.batchKey);
  });

  test("a ticket that joins a claimed incident is the holder's, and seen at its next renewal", async () => {
    const { tickets } = await newTickets();
    await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    const joined = await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    expect(joined.ticket).toMatchObject({ status: "acknowledged", holder: "agent-1", batchKey: incident.batchKey });
    expect((await tickets.refresh(incident)).tickets).toHaveLength(2);
    expect((await tickets.renew(incident, LEASE_MS)).tickets).toHaveLength(2);
    await workOn(tickets, incident, "resolved");
    expect((await tickets.get(joined.ticket.id)).status).toBe("diagnosed");
  });
});

describe("claims", () => {
  test("one session per instance; only instances that the agent is configured for", async () => {
    const { tickets } = await newTickets();
    await tickets.reportViolation(violation());
    await claim(tickets);
    await tickets.create({ ...violation({ invariant: "hand" }), manual: true });
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    await tickets.reportViolation(violation({ instance: OTHER }));
    expect(await tickets.claimNext({ instances: [CLUSTER], leaseMs: 1, holder: "agent-2" })).toBeNull();
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toMatchObject({ instance: OTHER });
  });

  test("severity, then age, orders the queue", async () => {
    const { tickets, clock } = await newTickets();
    const instances = ["i1", "i2", "i3"] as InstanceId[];
    for (const [at, severity] of (["warning", "critical", "critical"] as const).entries()) {
      await tickets.reportViolation(violation({ instance: instances[at] as InstanceId, severity }));
      await clock.advance(10);
    }
    const order: (string | undefined)[] = [];
    for (let n = 0; n < 3; n++)
      order.push((await tickets.claimNext({ instances, holder: `a${n}`, leaseMs: LEASE_MS }))?.instance);
    expect(order).toEqual(["i2", "i3", "i1"]);
  });

  test("an expired lease is claimable again, with the next attempt; the sleeper is fenced off, its session is lost", async () => {
    const { tickets, clock } = await newTickets();
    await tickets.reportViolation(violation());
    const slept = await claim(tickets);
    const session = await tickets.startSession(slept, { operator: "claude", scripted: false, model: "m" });
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    await clock.advance(LEASE_MS);
    const next = await claim(tickets, "agent-2");
    expect(next.attempt).toBe(2);
    await expect(tickets.assertHeld(slept)).rejects.toThrow(/attempt 2 has begun \(agent-2\)/);
    await expect(tickets.renew(slept, LEASE_MS)).rejects.toThrow(LeaseLostError);
    await expect(workOn(tickets, slept, "resolved")).rejects.toThrow(LeaseLostError);
    expect(await tickets.session(session)).toMatchObject({ status: "failed", ending: "lost" });
    await tickets.assertHeld(next);
  });

  test("the same holder's earlier attempt is fenced off too", async () => {
    const { tickets, clock } = await newTickets();
    await tickets.reportViolation(violation());
    const first = await claim(tickets);
    await clock.advance(LEASE_MS);
    await claim(tickets);
    await expect(tickets.assertHeld(first)).rejects.toThrow(LeaseLostError);
  });

  test("no act when the lease is about to end", async () => {
    const { tickets, clock } = await newTickets();
    await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    await clock.advance(LEASE_MS - 50);
    await expect(tickets.assertHeld(incident)).rejects.toThrow(LeaseLostError);
    await tickets.renew(incident, LEASE_MS);
    await tickets.assertHeld(incident);
  });

  test("a clock set back by an hour neither keeps a dead holder's lease alive nor ends a live one", async () => {
    const { tickets, clock } = await newTickets();
    await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    clock.jump(-3_600_000);
    await clock.advance(LEASE_MS / 2);
    await tickets.assertHeld(incident);
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    await clock.advance(LEASE_MS / 2);
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toMatchObject({ attempt: 2 });
  });

  test("attempts are capped: then the incident is escalated and nobody's until a person reopens it", async () => {
    const { tickets, clock } = await newTickets({ maxAttempts: 2 });
    const { ticket } = await tickets.reportViolation(violation());
    await workOn(tickets, await claim(tickets), "failed");
    await claim(tickets);
    await clock.advance(LEASE_MS);
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    const escalated = await tickets.get(ticket.id);
    expect(escalated).toMatchObject({ status: "diagnosed", escalated: true, ending: "escalated" });
    expect(escalated.diagnosis).toMatch(/^ESCALATED: 2 attempts/);
    await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    await tickets.reopen(ticket.id);
    expect(await claim(tickets)).toMatchObject({ attempt: 3 });
  });

  test("a release gives it back at once and does not use up an attempt", async () => {
    const { tickets } = await newTickets({ maxAttempts: 1 });
    await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    const sessionId = await tickets.startSession(incident, { operator: "runbook", scripted: true, model: null });
    await tickets.release(incident, { sessionId, reason: "SIGTERM" });
    expect(await tickets.session(sessionId)).toMatchObject({ status: "failed", ending: "released", reason: "SIGTERM" });
    expect(await claim(tickets, "agent-2")).toMatchObject({ attempt: 2 });
  });
});

describe("verification", () => {
  test("the operator's word resolves nothing; the monitor does, once it has seen it hold", async () => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    await workOn(tickets, await claim(tickets), "resolved");
    expect(await tickets.get(ticket.id)).toMatchObject({ status: "diagnosed", ending: "resolved" });
    expect(await tickets.resolveVerified(ticket.id)).toBe("resolved");
    expect(await tickets.get(ticket.id)).toMatchObject({ status: "resolved" });
    expect(await tickets.resolveVerified(ticket.id)).toBe("gone");
  });

  test("a ticket under a live claim is not resolved until the lease ends", async () => {
    const { tickets, clock } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    const incident = await claim(tickets);
    expect(await tickets.resolveVerified(ticket.id)).toBe("claimed");
    await clock.advance(LEASE_MS);
    expect(await tickets.resolveVerified(ticket.id)).toBe("resolved");
    await expect(tickets.renew(incident, LEASE_MS)).rejects.toThrow(LeaseLostError);
  });

  test("claimed, not verified: open again after the verify window, until the cap", async () => {
    const { tickets, clock } = await newTickets({ maxAttempts: 2, verifyMs: 30_000 });
    const { ticket } = await tickets.reportViolation(violation());
    await workOn(tickets, await claim(tickets), "resolved");
    expect((await tickets.reportViolation(violation())).action).toBe("updated");
    await clock.advance(30_000);
    expect((await tickets.reportViolation(violation())).action).toBe("reopened");
    expect(await tickets.get(ticket.id)).toMatchObject({ status: "open" });
    await workOn(tickets, await claim(tickets), "no-fault");
    await clock.advance(30_000);
    expect((await tickets.reportViolation(violation())).action).toBe("escalated");
    expect(await tickets.get(ticket.id)).toMatchObject({ status: "diagnosed", escalated: true });
  });

  test("a symptom that shows up late starts no second session while the repair is being verified", async () => {
    const { tickets, clock } = await newTickets({ verifyMs: 30_000 });
    await tickets.reportViolation(violation());
    await workOn(tickets, await claim(tickets), "resolved");
    await tickets.reportViolation(violation({ invariant: "p99", component: null }));
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).toBeNull();
    await clock.advance(30_000);
    expect(await tickets.claimNext({ ...both, holder: "agent-2" })).not.toBeNull();
  });

  test.each([
    ["resolved", "diagnosed", "resolved"],
    ["no-fault", "diagnosed", "resolved"],
    ["escalated", "diagnosed", "escalated"],
    ["failed", "open", "failed"],
    ["limit", "open", "failed"],
  ] as const)("a session that ends %s leaves its ticket %s, itself %s", async (ending, ticketStatus, sessionStatus) => {
    const { tickets } = await newTickets();
    const { ticket } = await tickets.reportViolation(violation());
    const sessionId = await workOn(tickets, await claim(tickets), ending);
    expect(await tickets.get(ticket.id)).toMatchObject({ status: ticketStatus, escalated: ending === "escalated" });
    expect(await tickets.session(sessionId)).toMatchObject({ status: sessionStatus, ending });
  });
});
