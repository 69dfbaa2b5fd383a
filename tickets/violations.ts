import type { Ids } from "../harness/base/ids.ts";
import type { InstanceId } from "../harness/protocol.ts";
import { adoptRows } from "./adopt.ts";
import { escalateIncident } from "./escalation.ts";
import { toMonitor, toTicket } from "./rows.ts";
import type { Moment, TicketFile } from "./ticket-file.ts";
import { sqlFrom, sqlTo } from "./transitions.ts";
import type { MonitorBeat, MonitorState, ReportOutcome, ResolveOutcome, Ticket, ViolationReport } from "./types.ts";

/** Theirs is `invariant` or `invariant:store`; ours says of which instance, so that two clusters share a file. */
export function violationKey(report: Pick<ViolationReport, "instance" | "invariant" | "component">): string {
  const { instance, invariant, component } = report;
  return component === null ? `${instance}/${invariant}` : `${instance}/${invariant}:${component}`;
}

/** What opens and closes tickets: the monitor, and through `open` a person. */
export class Violations {
  readonly #file: TicketFile;
  readonly #ids: Ids;
  readonly #maxAttempts: number;

  constructor(file: TicketFile, ids: Ids, maxAttempts: number) {
    this.#file = file;
    this.#ids = ids;
    this.#maxAttempts = maxAttempts;
  }

  report(report: ViolationReport): Promise<ReportOutcome> {
    return this.#file.begin((moment) => {
      const known = this.find(violationKey(report));
      if (known === null) return { action: "opened", ticket: this.open({ ...report, manual: false }, moment) };
      this.#file
        .sql(
          `UPDATE tickets SET occurrence_count = occurrence_count + 1, last_seen_at = @at, updated_at = @at,
             severity = CASE WHEN @severity = 'critical' THEN 'critical' ELSE severity END WHERE id = @id`,
        )
        .run({ id: known.id, at: moment.text, severity: report.severity });
      const action = this.#unverified(known, moment);
      return { action, ticket: this.row(known.id) };
    });
  }

  /** The unresolved ticket of a violation. Inside a transaction. */
  find(key: string): Ticket | null {
    const row = this.#file
      .sql("SELECT * FROM tickets WHERE violation_key = ? AND status <> 'resolved' AND duplicate_of IS NULL")
      .get(key);
    return row === undefined ? null : toTicket(row);
  }

  /** A new ticket, in the instance's current incident if there is one. Inside a write transaction. */
  open(report: ViolationReport & { readonly manual: boolean }, moment: Moment): Ticket {
    adoptRows(this.#file);
    const joined = report.manual ? null : this.#currentIncident(report.instance, moment);
    const { lastInsertRowid } = this.#file
      .sql(
        `INSERT INTO tickets (violation_key, invariant_name, store_id, status, batch_key, first_seen_at, last_seen_at,
           message, severity, metric_snapshot, subject_context, created_at, updated_at, instance, manual, first_seen_ms,
           attempt, attempt_base, holder, lease_until_ms)
         VALUES (@key, @invariant, @component, @status, @batchKey, @at, @at, @message, @severity, @snapshot, @context,
           @at, @at, @instance, @manual, @now, @attempt, @base, @holder, @leaseUntil)`,
      )
      .run({
        key: violationKey(report),
        invariant: report.invariant,
        component: report.component,
        status: joined?.holder == null ? "open" : "acknowledged",
        batchKey: joined?.batch_key ?? `${report.instance.slice(0, 8)}-${this.#ids.hex(4)}`,
        at: moment.text,
        now: moment.ms,
        message: report.message,
        severity: report.severity,
        snapshot: report.snapshot === undefined ? null : JSON.stringify(report.snapshot),
        context: report.context ?? null,
        instance: report.instance,
        manual: report.manual ? 1 : 0,
        attempt: joined?.attempt ?? 0,
        base: joined?.base ?? 0,
        holder: joined?.holder ?? null,
        leaseUntil: joined?.lease_until_ms ?? null,
      });
    return this.row(Number(lastInsertRowid));
  }

  /** Inside a transaction; the ticket must exist. */
  row(id: number): Ticket {
    return toTicket(this.#file.sql("SELECT * FROM tickets WHERE id = ?").get(id));
  }

  resolveVerified(id: number): Promise<ResolveOutcome> {
    return this.#file.begin((moment) => {
      const found = this.#file.sql("SELECT * FROM tickets WHERE id = ?").get(id);
      const refusal = found === undefined ? "gone" : refusalOf(toTicket(found), moment.ms);
      if (refusal !== null) return refusal;
      this.#file
        .sql(
          `UPDATE tickets SET status = ${sqlTo("verify")}, resolved_at = @at, updated_at = @at, holder = NULL,
             lease_until_ms = NULL, settle_until_ms = NULL WHERE id = @id AND status IN ${sqlFrom("verify")}`,
        )
        .run({ id, at: moment.text });
      return "resolved";
    });
  }

  unresolved(instance: InstanceId): Promise<readonly Ticket[]> {
    return this.#file.read(() =>
      this.#file
        .sql("SELECT * FROM tickets WHERE instance = ? AND status <> 'resolved' AND duplicate_of IS NULL ORDER BY id")
        .all(instance)
        .map((row) => toTicket(row)),
    );
  }

  beat(beat: MonitorBeat): Promise<void> {
    return this.#file.write(({ ms, text }) => {
      this.#file
        .sql(
          `INSERT INTO monitors (monitor, instance, subject, every_ms, invariants, beat_at, beat_ms)
           VALUES (@monitor, @instance, @subject, @everyMs, @invariants, @at, @now)
           ON CONFLICT (monitor) DO UPDATE SET instance = @instance, subject = @subject, every_ms = @everyMs,
             invariants = @invariants, beat_at = @at, beat_ms = @now`,
        )
        .run({ ...beat, invariants: JSON.stringify(beat.invariants), at: text, now: ms });
    });
  }

  endBeat(monitor: string): Promise<void> {
    return this.#file.write(() => {
      this.#file.sql("DELETE FROM monitors WHERE monitor = ?").run(monitor);
    });
  }

  monitors(): Promise<readonly MonitorState[]> {
    return this.#file.read(({ ms }) =>
      this.#file
        .sql("SELECT * FROM monitors ORDER BY beat_ms DESC")
        .all()
        .map((row) => toMonitor(row, ms)),
    );
  }

  /** Violations that overlap in time are one incident. Hand-made tickets that nothing verifies stay apart. */
  #currentIncident(instance: InstanceId, { ms }: Moment): CurrentIncident | null {
    const row = this.#file
      .sql(
        `SELECT t.batch_key,
           (SELECT MAX(b.attempt) FROM tickets b WHERE b.batch_key = t.batch_key) AS attempt,
           (SELECT MAX(b.attempt_base) FROM tickets b WHERE b.batch_key = t.batch_key) AS base,
           l.holder, l.lease_until_ms
         FROM tickets t LEFT JOIN tickets l ON l.batch_key = t.batch_key AND l.status = 'acknowledged'
           AND l.holder IS NOT NULL AND l.lease_until_ms > @now
         WHERE t.instance = @instance AND t.status <> 'resolved' AND t.manual = 0 AND t.duplicate_of IS NULL
         ORDER BY t.id DESC LIMIT 1`,
      )
      .get({ instance, now: ms });
    return (row as CurrentIncident | undefined) ?? null;
  }

  /** "Claimed, not verified": a session said that it is over, the verify window has passed, and it is not. */
  #unverified(ticket: Ticket, moment: Moment): ReportOutcome["action"] {
    const due = this.#file
      .sql(
        `SELECT (SELECT MAX(b.attempt) - MAX(b.attempt_base) FROM tickets b WHERE b.batch_key = t.batch_key)
         FROM tickets t WHERE t.id = @id AND t.status IN ${sqlFrom("unverified")} AND t.held = 0 AND t.manual = 0
           AND t.escalated = 0 AND t.settle_until_ms <= @now`,
      )
      .pluck()
      .get({ id: ticket.id, now: moment.ms }) as number | undefined;
    if (due === undefined) return "updated";
    if (due >= this.#maxAttempts) {
      escalateIncident(this.#file, ticket.batchKey, `still violated after ${due} attempts`, moment);
      return "escalated";
    }
    this.#file
      .sql(
        `UPDATE tickets SET status = ${sqlTo("unverified")}, settle_until_ms = NULL, updated_at = @at WHERE id = @id`,
      )
      .run({ id: ticket.id, at: moment.text });
    return "reopened";
  }
}

interface CurrentIncident {
  readonly batch_key: string;
  readonly attempt: number;
  readonly base: number;
  readonly holder: string | null;
  readonly lease_until_ms: number | null;
}

function refusalOf(ticket: Ticket, now: number): Exclude<ResolveOutcome, "resolved"> | null {
  if (ticket.status === "resolved") return "gone";
  if (ticket.held) return "held";
  if (ticket.manual) return "manual";
  if (ticket.status !== "acknowledged") return null;
  if (ticket.holder === null) return "foreign";
  return (ticket.leaseUntil ?? 0) > now ? "claimed" : null;
}
