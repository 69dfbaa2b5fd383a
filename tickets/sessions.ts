import { HarnessError } from "../harness/base/errors.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Incident, Usage } from "../harness/protocol.ts";
import type { Queue } from "./queue.ts";
import { toLogEntry, toSession, toUsage } from "./rows.ts";
import { endSessionRow, type SessionOutcome } from "./session-end.ts";
import type { TicketFile } from "./ticket-file.ts";
import type { LogEntry, Session, SessionStart, StoredLogEntry } from "./types.ts";

const SUMS = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "usd", "turns"]
  .map((column) => `COALESCE(SUM(s.${column}), 0) AS ${column}`)
  .join(", ");

/** What operators did: sessions, and their entries as they happen. */
export class Sessions {
  readonly #file: TicketFile;
  readonly #queue: Queue;
  readonly #ids: Ids;

  constructor(file: TicketFile, queue: Queue, ids: Ids) {
    this.#file = file;
    this.#queue = queue;
    this.#ids = ids;
  }

  start(incident: Incident, { operator, scripted, model, details }: SessionStart): Promise<string> {
    return this.#file.write((moment) => {
      this.#queue.check(incident, moment.ms, 0);
      const sessionId = `${moment.text.slice(0, 19).replaceAll(/[-:]/g, "")}-${this.#ids.hex(4)}`;
      this.#file
        .sql(
          `INSERT INTO agent_sessions (session_id, ticket_id, status, started_at, created_at, batch_key, instance,
             holder, attempt, operator, scripted, model, details)
           VALUES (@sessionId, @ticketId, 'running', @at, @at, @batchKey, @instance, @holder, @attempt, @operator,
             @scripted, @model, @details)`,
        )
        .run({
          sessionId,
          ticketId: incident.tickets[0]?.id ?? null,
          at: moment.text,
          batchKey: incident.batchKey,
          instance: incident.instance,
          holder: incident.holder,
          attempt: incident.attempt,
          operator,
          scripted: scripted ? 1 : 0,
          model,
          details: details === undefined ? null : JSON.stringify(details),
        });
      return sessionId;
    });
  }

  log(sessionId: string, entry: LogEntry): Promise<number> {
    return this.#file.write(({ text }) => {
      const { lastInsertRowid } = this.#file
        .sql(
          `INSERT INTO agent_log_entries (session_id, entry_type, content, raw_content, tool_name, tool_params,
             exit_code, effect, timestamp, ended_at, created_at)
           VALUES (@sessionId, @type, @summary, @raw, @tool, @params, @exitCode, @effect, @startedAt, @endedAt, @at)`,
        )
        .run({
          sessionId,
          type: entry.type,
          summary: entry.summary,
          raw: entry.raw ?? null,
          tool: entry.tool ?? null,
          params: entry.params === undefined ? null : JSON.stringify(entry.params),
          exitCode: entry.exitCode ?? null,
          effect: entry.effect ?? null,
          startedAt: this.#file.timeText(entry.startedAt),
          endedAt: this.#file.timeText(entry.endedAt),
          at: text,
        });
      return Number(lastInsertRowid);
    });
  }

  end(sessionId: string, end: SessionOutcome): Promise<void> {
    return this.#file.write((moment) => {
      this.#row(sessionId);
      endSessionRow(this.#file, sessionId, end, moment);
    });
  }

  list({
    ticketId,
    limit = 100,
  }: {
    readonly ticketId?: number;
    readonly limit?: number;
  }): Promise<readonly Session[]> {
    return this.#file.read(() =>
      this.#file
        .sql(`SELECT s.* FROM agent_sessions s WHERE ${OF_TICKET} ORDER BY s.id DESC LIMIT @limit`)
        .all({ ticketId: ticketId ?? null, limit })
        .map((row) => toSession(row)),
    );
  }

  get(sessionId: string): Promise<Session> {
    return this.#file.read(() => toSession(this.#row(sessionId)));
  }

  entries(sessionId: string, afterId: number): Promise<readonly StoredLogEntry[]> {
    return this.#file.read(() => {
      this.#row(sessionId);
      const sql = "SELECT * FROM agent_log_entries WHERE session_id = ? AND id > ? ORDER BY id";
      return this.#file
        .sql(sql)
        .all(sessionId, afterId)
        .map((row) => toLogEntry(row));
    });
  }

  usageOf(ticketId: number): Promise<Usage> {
    return this.#file.read(() =>
      toUsage(this.#file.sql(`SELECT ${SUMS} FROM agent_sessions s WHERE ${OF_TICKET}`).get({ ticketId })),
    );
  }

  #row(sessionId: string): unknown {
    const row = this.#file.sql("SELECT * FROM agent_sessions WHERE session_id = ?").get(sessionId);
    if (row === undefined)
      throw new HarnessError(
        "not-found",
        `no session ${sessionId} in ${this.#file.path}; \`lab session list\` shows them`,
      );
    return row;
  }
}

/** A session works on an incident; it belongs to each of its tickets. Rows of the Python lab have only a ticket. */
const OF_TICKET = `(@ticketId IS NULL OR s.ticket_id = @ticketId
  OR s.batch_key = (SELECT batch_key FROM tickets WHERE id = @ticketId))`;
