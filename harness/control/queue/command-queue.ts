import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { z } from "zod";
import type { EpochMs } from "../../base/clock.ts";
import { makeFolder } from "../../base/make-folder.ts";
import { commandReport, type CommandReport } from "../contract.ts";
import { PLANES, type Plane } from "../planes.ts";

/**
 * `queued`: nobody has begun. `running`: the intent is on disk, the act may have happened. `done`: the report says what
 * came of it.
 */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS commands (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  plane TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  command_id TEXT NOT NULL,
  body_digest TEXT NOT NULL,
  caller TEXT NOT NULL,
  name TEXT NOT NULL,
  request TEXT NOT NULL,
  executor TEXT NOT NULL CHECK (executor IN ('server', 'poller')),
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done')),
  worker TEXT,
  audit_seq INTEGER,
  enqueued_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  intent_ms INTEGER,
  done_ms INTEGER,
  report TEXT,
  UNIQUE (plane, idempotency_key)
);
CREATE INDEX IF NOT EXISTS ix_commands_waiting ON commands (executor, plane, seq) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS ix_commands_id ON commands (plane, command_id, seq);
CREATE INDEX IF NOT EXISTS ix_commands_done ON commands (done_ms) WHERE state = 'done';`;

/** Answers are kept so long for whoever asks again with the same key. */
const KEPT_MS = 24 * 3_600_000;
/** Old rows are looked for once in so many insertions. */
const SWEEP_EVERY = 256;
/** Reports of ended commands together; beyond that the oldest lose what was printed, never how they ended. */
const MOST_REPORT_BYTES = 256 * 1024 * 1024;
/** A report of this size has nothing to lose. */
const SMALL_REPORT_BYTES = 4_096;

export type Executor = "server" | "poller";

export interface NewCommand {
  readonly plane: Plane;
  readonly idempotencyKey: string;
  readonly commandId: string;
  readonly bodyDigest: string;
  readonly caller: string;
  readonly name: string;
  /** The request as it was parsed; JSON-able. */
  readonly request: unknown;
  readonly executor: Executor;
  /** Not begun by then, it never is. */
  readonly expiresAt: EpochMs;
}

export interface QueuedCommand extends NewCommand {
  readonly seq: number;
  readonly state: "queued" | "running" | "done";
  /** Boot epoch of the server, or the poller's agent id. */
  readonly worker: string | null;
  /** Of the audit's intent line. */
  readonly auditSeq: number | null;
  readonly enqueuedAt: EpochMs;
  readonly intentAt: EpochMs | null;
  readonly report: CommandReport | null;
}

const instant = z.number().transform((ms) => ms as EpochMs);
const jsonText = z.string().transform((text): unknown => JSON.parse(text));
const row = z
  .object({
    seq: z.number(),
    plane: z.enum(PLANES),
    idempotency_key: z.string(),
    command_id: z.string(),
    body_digest: z.string(),
    caller: z.string(),
    name: z.string(),
    request: jsonText,
    executor: z.enum(["server", "poller"]),
    state: z.enum(["queued", "running", "done"]),
    worker: z.string().nullable(),
    audit_seq: z.number().nullable(),
    enqueued_ms: instant,
    expires_ms: instant,
    intent_ms: instant.nullable(),
    report: z.nullable(jsonText.pipe(commandReport)),
  })
  .transform((c): QueuedCommand => ({
    seq: c.seq,
    plane: c.plane,
    idempotencyKey: c.idempotency_key,
    commandId: c.command_id,
    bodyDigest: c.body_digest,
    caller: c.caller,
    name: c.name,
    request: c.request,
    executor: c.executor,
    state: c.state,
    worker: c.worker,
    auditSeq: c.audit_seq,
    enqueuedAt: c.enqueued_ms,
    expiresAt: c.expires_ms,
    intentAt: c.intent_ms,
    report: c.report,
  }));

/**
 * The commands of one server, on disk. Each method is one transaction that survives a power cut (`synchronous = FULL`):
 * whether an act was begun must never be a guess.
 */
export class CommandQueue implements Disposable {
  readonly #db: Sqlite.Database;
  readonly #now: () => EpochMs;
  readonly #mostReportBytes: number;
  readonly #statements = new Map<string, Sqlite.Statement>();
  #sinceSweep = 0;
  #reportBytes: number;

  /** @param folder 0700; made when missing. */
  constructor(folder: string, now: () => EpochMs, mostReportBytes = MOST_REPORT_BYTES) {
    makeFolder(folder, 0o700);
    this.#db = new Sqlite(join(folder, "queue.db"));
    this.#now = now;
    this.#mostReportBytes = mostReportBytes;
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma("synchronous = FULL");
    this.#db.exec(SCHEMA);
    this.#reportBytes = this.#countReportBytes();
  }

  /** The command of this key, whatever became of it. */
  find(plane: Plane, idempotencyKey: string): QueuedCommand | null {
    return this.#one("SELECT * FROM commands WHERE plane = ? AND idempotency_key = ?", plane, idempotencyKey);
  }

  /** The newest of this id. */
  byId(plane: Plane, commandId: string): QueuedCommand | null {
    const sql = "SELECT * FROM commands WHERE plane = ? AND command_id = ? ORDER BY seq DESC LIMIT 1";
    return this.#one(sql, plane, commandId);
  }

  /** Waits for somebody to begin. @throws SqliteError `SQLITE_CONSTRAINT_UNIQUE` when the key is taken. */
  add(command: NewCommand): QueuedCommand {
    return this.#insert(command, { state: "queued", worker: null, auditSeq: null, intentAt: null });
  }

  /** Added and begun in one step: its intent is on disk when this returns. */
  begin(command: NewCommand, worker: string, auditSeq: number): QueuedCommand {
    return this.#insert(command, { state: "running", worker, auditSeq, intentAt: this.#now() });
  }

  /** The intent of one that waited. False when it no longer waits. */
  markRunning(seq: number, worker: string, auditSeq: number | null): boolean {
    const sql = `UPDATE commands SET state = 'running', worker = ?, audit_seq = ?, intent_ms = ?
      WHERE seq = ? AND state = 'queued'`;
    return this.#run(sql, worker, auditSeq, this.#now(), seq) === 1;
  }

  /** Begun anew by another worker, which has looked that the first time had no effect. */
  adopt(seq: number, worker: string): void {
    this.#run(
      "UPDATE commands SET worker = ?, intent_ms = ? WHERE seq = ? AND state = 'running'",
      worker,
      this.#now(),
      seq,
    );
  }

  finish(seq: number, report: CommandReport): void {
    const sql = "UPDATE commands SET state = 'done', report = ?, done_ms = ? WHERE seq = ? AND state <> 'done'";
    const text = JSON.stringify(report);
    if (this.#run(sql, text, this.#now(), seq) === 0) return;
    this.#reportBytes += Buffer.byteLength(text);
    if (this.#reportBytes > this.#mostReportBytes) this.#shed();
  }

  /** The oldest of a plane that waits for this executor, without some rows and what is for some components. */
  next(
    executor: Executor,
    plane: Plane,
    except: { readonly seqs: readonly number[]; readonly components?: readonly string[] } = { seqs: [] },
  ): QueuedCommand | null {
    const sql = `SELECT * FROM commands WHERE state = 'queued' AND executor = ? AND plane = ?
      AND seq NOT IN (SELECT value FROM json_each(?))
      AND COALESCE(json_extract(request, '$.params.component'), '') NOT IN (SELECT value FROM json_each(?))
      ORDER BY seq LIMIT 1`;
    const { seqs, components = [] } = except;
    return this.#one(sql, executor, plane, JSON.stringify(seqs), JSON.stringify(components));
  }

  /** Begun by somebody who is not this worker and never ended. */
  leftRunning(executor: Executor, worker: string): readonly QueuedCommand[] {
    const sql = "SELECT * FROM commands WHERE state = 'running' AND executor = ? AND worker <> ? ORDER BY seq";
    return this.#sql(sql)
      .all(executor, worker)
      .map((found) => row.parse(found));
  }

  /** Handed to pollers before `since` and not heard of again. */
  overdue(since: EpochMs): readonly QueuedCommand[] {
    const sql = "SELECT * FROM commands WHERE state = 'running' AND executor = 'poller' AND intent_ms < ? ORDER BY seq";
    return this.#sql(sql)
      .all(since)
      .map((found) => row.parse(found));
  }

  /** Waiting, by executor; of all planes unless told. */
  depth(executor: Executor, plane: Plane | null = null): number {
    const sql = "SELECT COUNT(*) FROM commands WHERE state = 'queued' AND executor = ? AND (? IS NULL OR plane = ?)";
    return this.#sql(sql).pluck().get(executor, plane, plane) as number;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #insert(
    command: NewCommand,
    state: Pick<QueuedCommand, "state" | "worker" | "auditSeq" | "intentAt">,
  ): QueuedCommand {
    this.#sweep();
    const { request, expiresAt, ...rest } = command;
    const enqueuedAt = this.#now();
    const { lastInsertRowid } = this.#sql(
      `INSERT INTO commands (plane, idempotency_key, command_id, body_digest, caller, name, request, executor, state,
         worker, audit_seq, enqueued_ms, expires_ms, intent_ms)
       VALUES (@plane, @idempotencyKey, @commandId, @bodyDigest, @caller, @name, @request, @executor, @state, @worker,
         @auditSeq, @enqueuedAt, @expiresAt, @intentAt)`,
    ).run({ ...rest, ...state, request: JSON.stringify(request), expiresAt: Math.round(expiresAt), enqueuedAt });
    return { ...command, ...state, seq: Number(lastInsertRowid), enqueuedAt, report: null };
  }

  #sweep(): void {
    this.#sinceSweep = (this.#sinceSweep + 1) % SWEEP_EVERY;
    if (this.#sinceSweep === 1) this.#forget();
  }

  #forget(): void {
    const forgotten = this.#run("DELETE FROM commands WHERE state = 'done' AND done_ms < ?", this.#now() - KEPT_MS);
    if (forgotten > 0) this.#reportBytes = this.#countReportBytes();
  }

  #countReportBytes(): number {
    const sql = "SELECT COALESCE(SUM(octet_length(report)), 0) FROM commands WHERE state = 'done'";
    return this.#sql(sql).pluck().get() as number;
  }

  /** A sixteenth at once, so that it is not done for each command. */
  #shed(): void {
    const enough = this.#mostReportBytes - this.#mostReportBytes / 16;
    const oldestFirst =
      "SELECT seq FROM commands WHERE state = 'done' AND octet_length(report) > ? ORDER BY done_ms, seq";
    this.#db.transaction(() => {
      for (const seq of this.#sql(oldestFirst).pluck().all(SMALL_REPORT_BYTES)) {
        const report = this.#one("SELECT * FROM commands WHERE seq = ?", seq)?.report;
        if (report === null || report === undefined) continue;
        const [all, less] = [JSON.stringify(report), JSON.stringify(withoutOutput(report))];
        this.#run("UPDATE commands SET report = ? WHERE seq = ?", less, seq);
        this.#reportBytes -= Buffer.byteLength(all) - Buffer.byteLength(less);
        if (this.#reportBytes <= enough) return;
      }
    })();
  }

  #one(sql: string, ...params: readonly unknown[]): QueuedCommand | null {
    const found = this.#sql(sql).get(...params);
    return found === undefined ? null : row.parse(found);
  }

  #run(sql: string, ...params: readonly unknown[]): number {
    return this.#sql(sql).run(...params).changes;
  }

  #sql(text: string): Sqlite.Statement {
    const known = this.#statements.get(text) ?? this.#db.prepare(text);
    this.#statements.set(text, known);
    return known;
  }
}

function withoutOutput(report: CommandReport): CommandReport {
  if (report.result === null) return report;
  const { stderr: _, ...result } = report.result;
  return { ...report, result: { ...result, stdout: "(what it printed is not kept any more)\n", data: null } };
}
