import { describe, expect, onTestFinished, test } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import type { Incident } from "../../harness/protocol.ts";
import { callDigest, openTickets, type Claim, type Proposal, type Tickets } from "../../tickets/index.ts";
import { claim, CLUSTER, LEASE_MS, newTickets, violation } from "../support/ticket-folder.ts";

const restart = { component: "tikv1", reason: "it does not answer at all" };
const STATE = { component: "tikv1", status: "exited", exitCode: 137 };
const digest = callDigest("container_restart", restart);

function proposal(incident: Incident, changes: Partial<Proposal> = {}): Proposal {
  const { batchKey, holder, attempt } = incident;
  return {
    claim: { batchKey, holder, attempt },
    instance: CLUSTER,
    sessionId: null,
    operator: "runbook",
    tool: "container_restart",
    input: restart,
    effect: "write",
    state: STATE,
    timeoutMs: 60_000,
    ...changes,
  };
}

async function claimed(): Promise<
  { tickets: Tickets; incident: Incident; path: string } & Awaited<ReturnType<typeof newTickets>>
> {
  const bench = await newTickets();
  await bench.tickets.reportViolation(violation());
  return { ...bench, incident: await claim(bench.tickets) };
}

const yes = { verdict: "approve", by: "cli:anna" } as const;

describe("a proposal", () => {
  test("waits, is approved by a person, and is good once: for this call, claim and state alone", async () => {
    const { tickets, incident } = await claimed();
    const { approvals } = tickets;
    const asked = await approvals.request(proposal(incident));
    expect(asked).toMatchObject({ status: "waiting", remainingMs: 60_000, callDigest: digest, input: restart });
    expect(await approvals.use(asked.id, { claim: incident, callDigest: digest, state: STATE })).toMatchObject({
      ok: false,
      why: "nobody has decided yet",
    });
    await expect(approvals.decide(asked.id, { ...yes, callDigest: "sha256:other" })).rejects.toMatchObject({
      code: "wrong-state",
    });
    expect(await approvals.decide(asked.id, yes)).toMatchObject({ status: "approved", decidedBy: "cli:anna" });
    await expect(approvals.decide(asked.id, yes)).rejects.toThrow("cli:anna approved it");

    const now = { claim: incident, callDigest: digest, state: { exitCode: 137, status: "exited", component: "tikv1" } };
    const other = { ...now, callDigest: callDigest("container_kill", restart) };
    expect(await approvals.use(asked.id, other)).toEqual({ ok: false, why: "another call was approved" });
    const later = { ...now, claim: { ...incident, attempt: incident.attempt + 1 } };
    expect(await approvals.use(asked.id, later)).toEqual({ ok: false, why: "it was approved for another attempt" });
    expect(await approvals.use(asked.id, now)).toEqual({ ok: true });
    expect(await approvals.use(asked.id, now)).toEqual({ ok: false, why: "it was used already" });
  });

  test("is worth nothing once the state has changed", async () => {
    const { tickets, incident } = await claimed();
    const { id } = await tickets.approvals.request(proposal(incident));
    await tickets.approvals.decide(id, yes);
    const changed = { claim: incident, callDigest: digest, state: { ...STATE, status: "running" } };
    const outcome = await tickets.approvals.use(id, changed);
    expect(outcome).toEqual({ ok: false, why: "the state that it was based on has changed since it was proposed" });
    expect(await tickets.approvals.use(id, { ...changed, state: STATE })).toEqual(outcome);
    expect((await tickets.approvals.get(id)).status).toBe("stale");
  });

  test("wakes whoever waits when another process decides; the reason comes with it", async () => {
    const { tickets, incident, clock, path } = await claimed();
    const { id } = await tickets.approvals.request(proposal(incident));
    const answer = tickets.approvals.wait(id, new AbortController().signal);
    const person = await openTickets(path, { clock, ids: randomIds, log: silentLog });
    onTestFinished(() => person[Symbol.asyncDispose]());
    expect((await person.approvals.list({ status: "waiting" })).map((row) => row.id)).toEqual([id]);
    await person.approvals.decide(id, { verdict: "reject", by: "panel:bo", reason: "not on a Friday" });
    expect(await answer).toMatchObject({ status: "rejected", decidedBy: "panel:bo", reason: "not on a Friday" });
    expect(await person.approvals.list({ status: "waiting" })).toEqual([]);
  });

  test("expires, and cannot be approved any more", async () => {
    const { tickets, incident, clock } = await claimed();
    const { id } = await tickets.approvals.request(proposal(incident, { timeoutMs: 5_000 }));
    const answer = tickets.approvals.wait(id, new AbortController().signal);
    await clock.advance(4_999);
    expect((await tickets.approvals.get(id)).status).toBe("waiting");
    await clock.advance(10);
    expect(await answer).toMatchObject({ status: "expired", decidedBy: null });
    await expect(tickets.approvals.decide(id, yes)).rejects.toThrow("nobody decided in time");
    expect(await tickets.approvals.waitedMs(CLUSTER)).toBe(5_000);
  });

  test("of somebody who is gone cannot be approved: lease lost, session stopped", async () => {
    const { tickets, incident, clock } = await claimed();
    const lost = await tickets.approvals.request(proposal(incident));
    const stopped = await tickets.approvals.request(proposal(incident, { tool: "container_stop" }));
    const stop = new AbortController();
    const waiting = tickets.approvals.wait(stopped.id, stop.signal);
    stop.abort(new Error("told to stop"));
    await expect(waiting).rejects.toThrow("told to stop");
    expect((await tickets.approvals.get(stopped.id)).status).toBe("withdrawn");
    await clock.advance(LEASE_MS + 1);
    await expect(tickets.approvals.decide(lost.id, yes)).rejects.toThrow("whoever asked is gone");
  });

  test("the time that people were waited for is known while it passes and afterwards", async () => {
    const { tickets, incident, clock } = await claimed();
    const { id } = await tickets.approvals.request(proposal(incident));
    await clock.advance(3_000);
    expect(await tickets.approvals.waitedMs(CLUSTER)).toBe(3_000);
    await tickets.approvals.decide(id, yes);
    await clock.advance(3_000);
    expect(await tickets.approvals.waitedMs(CLUSTER)).toBe(3_000);
  });
});

test("a server carries an approved call out once, for whoever asked, and only if it is what the person saw", async () => {
  const { tickets, incident } = await claimed();
  const { approvals } = tickets;
  const { id } = await approvals.request(proposal(incident));
  const carryOut = (component: string, claimed: Claim = incident) =>
    approvals.execute(id, claimed, ({ tool, input }) => callDigest(tool, input) === digest && component === "tikv1");
  await approvals.decide(id, yes);
  expect(await carryOut("tikv1")).toEqual({ ok: false, why: "cli:anna approved it" });
  await approvals.use(id, { claim: incident, callDigest: digest, state: STATE });
  expect(await carryOut("tikv2")).toEqual({ ok: false, why: "another call was approved" });
  expect(await carryOut("tikv1", { ...incident, attempt: 9 })).toMatchObject({ ok: false });
  expect(await carryOut("tikv1")).toEqual({ ok: true });
  expect(await carryOut("tikv1")).toEqual({ ok: false, why: "it was used already" });
  expect(await approvals.execute("none", incident, () => true)).toEqual({
    ok: false,
    why: "there is no approval none",
  });
});
