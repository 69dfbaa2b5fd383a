import type { Incident } from "../harness/protocol.ts";
import { escalateIncident } from "./escalation.ts";
import { LeaseLostError } from "./lease-lost-error.ts";
import { toIncidentTicket, toTicket } from "./rows.ts";
import { endSessionRow, SESSION_STATUS } from "./session-end.ts";
import { adoptRows } from "./adopt.ts";
import type { Moment, TicketFile } from "./ticket-file.ts";
import { sqlFrom, sqlTo } from "./transitions.ts";
import type { Claim, ClaimRequest, Completion } from "./types.ts";

const URGENCY = "CASE t.severity WHEN 'critical' THEN 0 ELSE 1 END, t.first_seen_ms, t.id";

/**
 * The first incident in the queue that is free, with what its next claim will carry. Not free: somebody works on the
 * instance; a person holds it; it was escalated; a foreign program acknowledged part of it; it awaits verification.
 */
const CANDIDATE = `
  SELECT t.batch_key, COALESCE(t.instance, @unscoped) AS instance,
    (SELECT MAX(b.attempt) + 1 FROM tickets b WHERE b.batch_key = t.batch_key) AS next_attempt
  FROM tickets t
  WHERE t.status IN ('open', 'acknowledged')
    AND (t.status = 'open' OR (t.holder IS NOT NULL AND t.lease_until_ms <= @now))
    AND t.duplicate_of IS NULL
    AND COALESCE(t.instance, @unscoped) IN (SELECT value FROM json_each(@instances))
    AND NOT EXISTS (SELECT 1 FROM tickets l WHERE l.instance = COALESCE(t.instance, @unscoped)
      AND l.status = 'acknowledged' AND l.holder IS NOT NULL AND l.lease_until_ms > @now)
    AND NOT EXISTS (SELECT 1 FROM tickets b WHERE b.batch_key = t.batch_key AND b.status <> 'resolved'
      AND (b.held = 1 OR b.escalated = 1 OR (b.status = 'acknowledged' AND b.holder IS NULL)
        OR (b.status = 'diagnosed' AND b.settle_until_ms > @now)))
  ORDER BY ${URGENCY} LIMIT 1`;

/** One statement takes the incident with all its tickets: between choosing and taking there is nothing. */
const CLAIM = `
  UPDATE tickets SET status = ${sqlTo("claim")}, holder = @holder, lease_until_ms = @now + @leaseMs,
    instance = pick.instance, attempt = pick.next_attempt, ending = NULL, settle_until_ms = NULL, updated_at = @at
  FROM (${CANDIDATE}) pick
  WHERE tickets.batch_key = pick.batch_key AND tickets.status IN ${sqlFrom("claim")} AND tickets.duplicate_of IS NULL
    AND COALESCE(tickets.instance, pick.instance) = pick.instance
    AND NOT (tickets.manual = 1 AND tickets.status = 'diagnosed')
  RETURNING *`;

const MINE = `batch_key = @batchKey AND holder = @holder AND attempt = @attempt AND status = 'acknowledged'`;

/** What an agent does with incidents. Every change is guarded by holder and attempt. */
export class Queue {
  readonly #file: TicketFile;
  readonly #limits: { readonly maxAttempts: number; readonly verifyMs: number };

  constructor(file: TicketFile, limits: { readonly maxAttempts: number; readonly verifyMs: number }) {
    this.#file = file;
    this.#limits = limits;
  }

  async claimNext({ instances, holder, leaseMs, unscopedAs }: ClaimRequest): Promise<Incident | null> {
    const wanted = { instances: JSON.stringify(instances), unscoped: unscopedAs ?? null };
    // Looking first: agents with nothing to do never take the write lock.
    const some = await this.#file.read(
      ({ ms }) => this.#unadopted() || this.#file.sql(CANDIDATE).get({ ...wanted, now: ms }) !== undefined,
    );
    if (!some) return null;
    return this.#file.begin((moment) => {
      adoptRows(this.#file);
      const asked = { ...wanted, now: moment.ms };
      for (;;) {
        const rows = this.#file.sql(CLAIM).all({ ...asked, holder, leaseMs, at: moment.text });
        if (rows.length === 0) return null;
        const incident = incidentOf(rows, holder);
        this.#endLostSessions(incident, moment);
        const before = this.#used(incident.batchKey) - 1;
        if (before < this.#limits.maxAttempts) return incident;
        // Nobody saw this claim: it is taken back in the transaction that made it.
        this.#file
          .sql("UPDATE tickets SET attempt = attempt - 1 WHERE batch_key = ? AND holder = ? AND attempt = ?")
          .run(incident.batchKey, holder, incident.attempt);
        escalateIncident(this.#file, incident.batchKey, `${before} attempts ended without a verified repair`, moment);
      }
    });
  }

  renew(incident: Incident, leaseMs: number): Promise<Incident> {
    return this.#file.write(({ ms }) => {
      const claim = claimOf(incident);
      const { changes } = this.#file
        .sql(`UPDATE tickets SET lease_until_ms = @until WHERE ${MINE}`)
        .run({ ...claim, until: ms + leaseMs });
      if (changes === 0) throw this.#lost(claim, ms);
      return this.#current(incident);
    });
  }

  refresh(incident: Incident): Promise<Incident> {
    return this.#file.read(({ ms }) => {
      this.check(incident, ms, 0);
      return this.#current(incident);
    });
  }

  assertHeld(claim: Claim, marginMs: number): Promise<void> {
    return this.#file.read(({ ms }) => this.check(claim, ms, marginMs));
  }

  /** The guard itself, inside a transaction of the caller's. @throws LeaseLostError */
  check(claim: Claim, now: number, marginMs: number): void {
    const own = claimOf(claim);
    const good = this.#file
      .sql(`SELECT 1 FROM tickets WHERE ${MINE} AND lease_until_ms > @until LIMIT 1`)
      .get({ ...own, until: now + marginMs });
    if (good === undefined) throw this.#lost(own, now);
  }

  release(claim: Claim, { sessionId, reason }: { sessionId: string | null; reason: string }): Promise<void> {
    return this.#file.write((moment) => {
      const own = claimOf(claim);
      const { changes } = this.#file
        .sql(
          `UPDATE tickets SET status = ${sqlTo("release")}, holder = NULL, lease_until_ms = NULL,
             attempt_base = attempt_base + 1, updated_at = @at WHERE ${MINE}`,
        )
        .run({ ...own, at: moment.text });
      if (changes === 0) throw this.#lost(own, moment.ms);
      if (sessionId !== null) endSessionRow(this.#file, sessionId, { ending: "released", reason }, moment);
    });
  }

  complete(claim: Claim, completion: Completion): Promise<void> {
    return this.#file.write((moment) => {
      const own = claimOf(claim);
      this.#endClaim(own, completion, moment);
      endSessionRow(this.#file, completion.sessionId, completion, moment);
    });
  }

  #endClaim(own: Claim, { ending, reason, diagnosis }: Completion, moment: Moment): void {
    const again = ending === "failed" || ending === "limit";
    const text = diagnosis === null ? reason : `${diagnosis.cause}: ${diagnosis.explanation}`;
    const { changes } = this.#file
      .sql(
        `UPDATE tickets SET status = ${again ? sqlTo("retry") : sqlTo("complete")}, holder = NULL,
           lease_until_ms = NULL, ending = @ending, escalated = @escalated, diagnosis = @diagnosis,
           settle_until_ms = @settle, updated_at = @at WHERE ${MINE}`,
      )
      .run({
        ...own,
        ending,
        escalated: ending === "escalated" ? 1 : 0,
        diagnosis: ending === "escalated" ? `ESCALATED: ${text}` : text,
        settle: ending === "resolved" || ending === "no-fault" ? moment.ms + this.#limits.verifyMs : null,
        at: moment.text,
      });
    if (changes === 0) throw this.#lost(own, moment.ms);
    if (again && this.#used(own.batchKey) >= this.#limits.maxAttempts)
      escalateIncident(this.#file, own.batchKey, `${SESSION_STATUS[ending]} on the last attempt: ${reason}`, moment);
  }

  #used(batchKey: string): number {
    const sql = "SELECT MAX(attempt) - MAX(attempt_base) FROM tickets WHERE batch_key = ?";
    return this.#file.sql(sql).pluck().get(batchKey) as number;
  }

  #unadopted(): boolean {
    return this.#file.sql("SELECT 1 FROM tickets WHERE first_seen_ms IS NULL LIMIT 1").get() !== undefined;
  }

  #endLostSessions({ batchKey, attempt }: Incident, moment: Moment): void {
    const left = this.#file
      .sql("SELECT session_id FROM agent_sessions WHERE batch_key = ? AND attempt < ? AND status = 'running'")
      .pluck()
      .all(batchKey, attempt) as string[];
    for (const id of left)
      endSessionRow(this.#file, id, { ending: "lost", reason: "its lease ended without a word from it" }, moment);
  }

  #current(incident: Incident): Incident {
    const rows = this.#file.sql(`SELECT * FROM tickets WHERE ${MINE}`).all(claimOf(incident));
    return incidentOf(rows, incident.holder);
  }

  #lost(claim: Claim, now: number): LeaseLostError {
    const rows = this.#file
      .sql("SELECT * FROM tickets WHERE batch_key = ? AND duplicate_of IS NULL")
      .all(claim.batchKey);
    const tickets = rows.map((row) => toTicket(row));
    const why = (): string => {
      if (tickets.some((t) => t.held)) return "a person holds it";
      const other = tickets.find((t) => t.attempt > claim.attempt);
      if (other !== undefined) return `attempt ${other.attempt} has begun${other.holder ? ` (${other.holder})` : ""}`;
      const own = tickets.find((t) => t.holder === claim.holder && t.status === "acknowledged");
      if (own?.leaseUntil != null) return `the lease ended ${Math.max(0, now - own.leaseUntil)} ms ago or is about to`;
      return "it is no longer claimed by this holder";
    };
    return new LeaseLostError(`incident ${claim.batchKey} is lost: ${why()}`, { ...claim });
  }
}

function claimOf({ batchKey, holder, attempt }: Claim): Claim {
  return { batchKey, holder, attempt };
}

function incidentOf(rows: readonly unknown[], holder: string): Incident {
  const tickets = rows.map((row) => toTicket(row));
  const [first] = tickets;
  if (first === undefined || first.instance === null) throw new RangeError("an incident has a ticket and an instance");
  const ordered = rows.map((row) => toIncidentTicket(row)).sort((a, b) => a.id - b.id);
  return { batchKey: first.batchKey, instance: first.instance, tickets: ordered, holder, attempt: first.attempt };
}
