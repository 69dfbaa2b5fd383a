import { HarnessError } from "../harness/base/errors.ts";
import { toTicket } from "./rows.ts";
import type { Moment, TicketFile } from "./ticket-file.ts";
import { sqlFrom, sqlTo, UNKNOWN_STATUS } from "./transitions.ts";
import type { HandMadeTicket, Ticket, TicketFilter } from "./types.ts";
import { violationKey, type Violations } from "./violations.ts";

/** What people do with tickets. */
export class Desk {
  readonly #file: TicketFile;
  readonly #violations: Violations;

  constructor(file: TicketFile, violations: Violations) {
    this.#file = file;
    this.#violations = violations;
  }

  list({ status, instance, batchKey, limit = 200 }: TicketFilter): Promise<readonly Ticket[]> {
    return this.#file.read(() =>
      this.#file
        .sql(
          `SELECT * FROM tickets WHERE (@status IS NULL OR status = @status)
             AND (@instance IS NULL OR instance = @instance) AND (@batchKey IS NULL OR batch_key = @batchKey)
           ORDER BY id DESC LIMIT @limit`,
        )
        .all({ status: status ?? null, instance: instance ?? null, batchKey: batchKey ?? null, limit })
        .map((row) => toTicket(row)),
    );
  }

  get(id: number): Promise<Ticket> {
    return this.#file.read(() => this.#ticket(id));
  }

  create(made: HandMadeTicket): Promise<{ readonly ticket: Ticket; readonly created: boolean }> {
    return this.#file.begin((moment) => {
      const known = this.#violations.find(violationKey(made));
      if (known !== null) return { ticket: known, created: false };
      return { ticket: this.#violations.open({ ...made, snapshot: undefined }, moment), created: true };
    });
  }

  hold(id: number): Promise<Ticket> {
    return this.#change(id, (ticket, { text }) => {
      this.#file.sql("UPDATE tickets SET held = 1, updated_at = ? WHERE id = ?").run(text, id);
      // A session that a person stopped is no failed attempt.
      this.#file
        .sql(
          `UPDATE tickets SET status = ${sqlTo("hold")}, holder = NULL, lease_until_ms = NULL,
             attempt_base = attempt_base + 1, updated_at = @at
           WHERE batch_key = @batchKey AND status IN ${sqlFrom("hold")} AND holder IS NOT NULL`,
        )
        .run({ batchKey: ticket.batchKey, at: text });
    });
  }

  unhold(id: number): Promise<Ticket> {
    return this.#change(id, (_ticket, { text }) => {
      this.#file.sql("UPDATE tickets SET held = 0, updated_at = ? WHERE id = ?").run(text, id);
    });
  }

  resolve(id: number): Promise<Ticket> {
    return this.#change(id, (_ticket, { text }) => {
      this.#file
        .sql(
          `UPDATE tickets SET status = ${sqlTo("resolve")}, resolved_at = @at, held = 0, escalated = 0, holder = NULL,
             lease_until_ms = NULL, settle_until_ms = NULL, updated_at = @at
           WHERE id = @id AND (status IN ${sqlFrom("resolve")} OR ${UNKNOWN_STATUS})`,
        )
        .run({ id, at: text });
    });
  }

  reopen(id: number): Promise<Ticket> {
    return this.#change(id, (ticket, moment) => {
      if (ticket.status === "open" && !ticket.escalated) return;
      this.#refuseReopen(ticket, moment);
      this.#file
        .sql(
          `UPDATE tickets SET status = ${sqlTo("reopen")}, resolved_at = NULL, holder = NULL, lease_until_ms = NULL,
             settle_until_ms = NULL, duplicate_of = NULL, updated_at = @at
           WHERE id = @id AND (status IN ${sqlFrom("reopen")} OR ${UNKNOWN_STATUS})`,
        )
        .run({ id, at: moment.text });
      // The incident as a whole gets its attempts back and returns from people to agents.
      this.#file
        .sql("UPDATE tickets SET escalated = 0, attempt_base = attempt WHERE batch_key = ? AND status <> 'resolved'")
        .run(ticket.batchKey);
    });
  }

  #refuseReopen(ticket: Ticket, { ms }: Moment): void {
    if (ticket.status === "acknowledged" && ticket.holder !== null && (ticket.leaseUntil ?? 0) > ms)
      throw new HarnessError(
        "already-running",
        `ticket ${ticket.id} is being worked by ${ticket.holder}; \`lab ticket hold ${ticket.id}\` stops it`,
      );
    const row = this.#file
      .sql(
        `SELECT o.id FROM tickets o JOIN tickets t ON t.violation_key = o.violation_key
         WHERE t.id = ? AND o.id <> t.id AND o.status <> 'resolved' AND o.duplicate_of IS NULL`,
      )
      .pluck()
      .get(ticket.id) as number | undefined;
    if (row !== undefined)
      throw new HarnessError("wrong-state", `ticket ${row} is already open for the same violation; work with that one`);
  }

  #change(id: number, act: (ticket: Ticket, moment: Moment) => void): Promise<Ticket> {
    return this.#file.write((moment) => {
      act(this.#ticket(id), moment);
      return this.#ticket(id);
    });
  }

  #ticket(id: number): Ticket {
    const row = this.#file.sql("SELECT * FROM tickets WHERE id = ?").get(id);
    if (row === undefined)
      throw new HarnessError("not-found", `no ticket ${id} in ${this.#file.path}; \`lab ticket list\` shows them`);
    return toTicket(row);
  }
}
