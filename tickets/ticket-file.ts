import { chmodSync, closeSync, existsSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite, { type Database, type Statement } from "better-sqlite3";
import { isoTime, type Clock, type EpochMs } from "../harness/base/clock.ts";
import { HarnessError } from "../harness/base/errors.ts";
import { makeFolder } from "../harness/base/make-folder.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Log } from "../harness/base/log.ts";
import { fileError, isBusy } from "./file-errors.ts";
import { refuseForeign, signsOfWriter, touchedSideFiles, witnessed, type ForeignWrite } from "./foreign-writer.ts";
import { isForeign, migrate, SCHEMA_VERSION, schemaVersion } from "./schema.ts";
import { TicketClock } from "./ticket-clock.ts";
import { timeText, type TimeForm } from "./time-form.ts";

/** SQLite waits this long by itself, with the event loop standing still; all longer waits are ours. */
const BUSY_TIMEOUT_MS = 20;
const RETRY_BASE_MS = 1;
const RETRY_CAP_MS = 10;
const SIDE_FILES = ["", "-wal", "-shm"] as const;

export interface TicketFileOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly lockTimeoutMs: number;
}

/** The moment of a transaction: `ms` for order and leases (see TicketClock), `text` for people, in the file's form. */
export interface Moment {
  readonly ms: number;
  readonly text: string;
}

/** Runs transactions on one SQLite file. Knows nothing of tickets but how readers are woken. */
export class TicketFile implements AsyncDisposable {
  readonly path: string;
  readonly #db: Database;
  readonly #options: TicketFileOptions;
  readonly #clock: TicketClock;
  readonly #form: TimeForm;
  readonly #statements = new Map<string, Statement<unknown[], unknown>>();
  #wake: number | null = null;

  static async open(path: string, options: TicketFileOptions): Promise<TicketFile> {
    const db = await openDatabase(path, options);
    return new TicketFile(path, db, options);
  }

  private constructor(path: string, db: Database, options: TicketFileOptions) {
    this.path = path;
    this.#db = db;
    this.#options = options;
    this.#clock = new TicketClock(options.clock);
    this.#form = db.prepare<[], TimeForm>("SELECT time_form FROM ticket_file").pluck().get() ?? "utc";
  }

  /** A prepared statement, kept. For use inside `read` and `write` only. */
  sql(text: string): Statement<unknown[], unknown> {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const made = this.#db.prepare<unknown[], unknown>(text);
    this.#statements.set(text, made);
    return made;
  }

  /** The text form of a time that a caller took itself. */
  timeText(at: EpochMs): string {
    return timeText(at, this.#form);
  }

  /** One consistent view. */
  read<T>(task: (moment: Moment) => T): Promise<T> {
    return this.#retry(() => this.#db.transaction(() => task(this.#moment()))());
  }

  /**
   * A write that begins something: as `write`, but not while somebody else keeps tickets here.
   * @throws HarnessError `tickets-foreign`
   */
  begin<T>(task: (moment: Moment) => T): Promise<T> {
    return this.write((moment) => {
      refuseForeign(witnessed(this.#db), this.path, this.#options.clock.now());
      return task(moment);
    });
  }

  /** One write transaction; `task` runs again from the start when another writer was first. Wakes readers after it. */
  async write<T>(task: (moment: Moment) => T): Promise<T> {
    const run = this.#db.transaction(() => {
      // See WITNESSES: never seen raised by anybody else.
      this.sql("UPDATE ticket_file SET writing = 1").run();
      const before = this.#generation();
      const moment = this.#moment();
      const result = task(moment);
      this.sql("UPDATE ticket_file SET writing = 0, clock_ms = MAX(clock_ms, ?)").run(moment.ms);
      return { result, changed: this.#generation() !== before };
    });
    const { result, changed } = await this.#retry(() => run.immediate());
    if (changed) this.#wakeReaders();
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#wake !== null) closeSync(this.#wake);
    this.#wake = null;
    this.#db.close();
  }

  #moment(): Moment {
    const stored = this.sql("SELECT clock_ms FROM ticket_file").pluck().get() as number;
    return { ms: this.#clock.now(stored), text: timeText(this.#options.clock.now(), this.#form) };
  }

  #generation(): number {
    return this.sql("SELECT generation FROM ticket_file").pluck().get() as number;
  }

  #retry<T>(attempt: () => T): Promise<T> {
    return retryWhileBusy(attempt, this.path, this.#options);
  }

  /** After the commit, so that who wakes sees it. A write, not utimes: that needs ownership of the file. */
  #wakeReaders(): void {
    try {
      this.#wake ??= openSync(`${this.path}-wake`, "w", 0o600);
      writeSync(this.#wake, "\n", 0);
    } catch (error) {
      // Readers then see it through the file's own events, or within 5 s.
      this.#options.log.warn("tickets.wake-failed", { path: this.path, error: String(error) });
    }
  }
}

async function retryWhileBusy<T>(attempt: () => T, path: string, options: TicketFileOptions): Promise<T> {
  const deadline = options.clock.monotonic() + options.lockTimeoutMs;
  for (let round = 0; ; round++) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || options.clock.monotonic() >= deadline) throw fileError(error, path);
      // Jitter: writers that were refused together must not come back together.
      const spread = Number.parseInt(options.ids.hex(1), 16) / 255;
      await options.clock.sleep(Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(round, 4)) * (0.5 + spread));
    }
  }
}

async function openDatabase(path: string, options: TicketFileOptions): Promise<Database> {
  let db: Database | null = null;
  try {
    const sideFiles = touchedSideFiles(path);
    makeFolder(dirname(path), 0o700);
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    db = new Sqlite(path, { timeout: BUSY_TIMEOUT_MS });
    const opened = db;
    await retryWhileBusy(() => check(opened, path), path, options);
    await retryWhileBusy(() => refuseWhileShared(opened, path, sideFiles, options.clock.now()), path, options);
    await prepare(opened, path, options);
    return opened;
  } catch (error) {
    db?.close();
    const known = fileError(error, path);
    if (known instanceof HarnessError && known.code === "tickets-corrupt") throw damaged(path, known, options);
    throw known;
  }
}

function check(db: Database, path: string): void {
  const version = schemaVersion(db);
  if (version > SCHEMA_VERSION)
    throw new HarnessError(
      "tickets-newer",
      `${path} was written by a newer version of the lab (format ${version}, this one knows ${SCHEMA_VERSION}); update, or name another file with --db`,
      { details: { path, version } },
    );
  const damage = db.prepare<[], string>("PRAGMA quick_check(1)").pluck().get();
  if (damage !== "ok") throw new HarnessError("tickets-corrupt", `${path}: the ticket file is damaged (${damage})`);
}

/** Nothing has been changed yet, and nothing is while somebody else is at work. */
function refuseWhileShared(db: Database, path: string, sideFiles: readonly ForeignWrite[], now: EpochMs): void {
  if (isForeign(db)) refuseForeign(signsOfWriter(db, sideFiles, now), path, now);
  else if (schemaVersion(db) >= WITNESSED_SINCE) refuseForeign(witnessed(db), path, now);
}

/** The version of the schema that has the witnesses. */
const WITNESSED_SINCE = 3;

async function prepare(db: Database, path: string, options: TicketFileOptions): Promise<void> {
  if (isForeign(db)) {
    const copy = `${path}.before-agent-lab-${stampOf(options.clock.now())}`;
    await db.backup(copy);
    chmodSync(copy, 0o600);
    options.log.warn("tickets.foreign-file", { path, copy });
  }
  await retryWhileBusy(() => db.pragma("journal_mode = WAL"), path, options);
  // A claim that was given out must still be known after a power cut: fencing depends on it.
  db.pragma("synchronous = FULL");
  await retryWhileBusy(
    () =>
      db
        .transaction(() => {
          if (schemaVersion(db) < SCHEMA_VERSION) migrate(db);
        })
        .immediate(),
    path,
    options,
  );
}

/** Never overwritten, never deleted: the next start makes a new file, a person may still rescue the old one. */
function damaged(path: string, damage: HarnessError, { clock }: TicketFileOptions): HarnessError {
  // A mistyped --db must not move somebody's letters away.
  if (damage.details["sqlite"] === "SQLITE_NOTADB" && !path.endsWith(".db"))
    return new HarnessError("tickets-corrupt", `${path} is not a ticket file; it was left as it is`, { cause: damage });
  const aside = `${path}.damaged-${stampOf(clock.now())}`;
  for (const suffix of SIDE_FILES) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  return new HarnessError(
    "tickets-corrupt",
    `${damage.message}; it was set aside as ${aside}. The next command starts a new one; \`sqlite3 ${aside} .recover\` may rescue rows`,
    { cause: damage, details: { path, aside } },
  );
}

function stampOf(at: EpochMs): string {
  return isoTime(at).replaceAll(/[-:]|\.\d+/g, "");
}
