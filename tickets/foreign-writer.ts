import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { isoTime, type EpochMs } from "../harness/base/clock.ts";
import { HarnessError } from "../harness/base/errors.ts";
import { timeOf } from "./time-form.ts";

/** Two programs that keep tickets in one file would take them from each other: whoever was seen this recently counts. */
export const FOREIGN_SEEN_MS = 60_000;

/** A program that does not know our columns has written, and when. */
export interface ForeignWrite {
  readonly at: EpochMs;
  readonly how: string;
}

/**
 * Says who wrote: our writers raise `writing` inside their transaction and lower it before they commit, so nobody else
 * ever reads it raised, and a change of a shared table while it is down was somebody else's. It is seen in whatever
 * connection it happens, and rolls back with it. The time is the database's own: the writer's program has none to give.
 */
export const WITNESSES = ["tickets", "agent_sessions", "agent_log_entries"]
  .flatMap((table) => ["INSERT", "UPDATE", "DELETE"].map((act) => ({ table, act })))
  .map(
    ({ table, act }) => `
CREATE TRIGGER IF NOT EXISTS ${table}_foreign_${act.toLowerCase()} AFTER ${act} ON ${table}
  WHEN (SELECT writing FROM ticket_file) = 0 BEGIN
  UPDATE ticket_file SET foreign_ms = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER);
END;`,
  )
  .join("");

/** What the triggers have seen; null = nothing. Inside a transaction. */
export function witnessed(db: Pick<Database, "prepare">): ForeignWrite | null {
  const at = db.prepare<[], EpochMs | null>("SELECT foreign_ms FROM ticket_file").pluck().get();
  return at == null ? null : { at, how: "a program that is not of this kind wrote to it" };
}

/**
 * Signs of a writer in a file that we have never opened: the newest time in its rows (every insert and update of theirs
 * leaves one), and side files that a writer has touched. A program that has it open and is silent is not seen: nobody
 * can tell in general who holds a file.
 */
export function signsOfWriter(db: Database, sideFiles: readonly ForeignWrite[], now: EpochMs): ForeignWrite | null {
  const inRows = timesIn(db)
    .flatMap(readings)
    .map((at): ForeignWrite => ({ at, how: `a row of ${isoTime(at)}` }));
  return [...inRows, ...sideFiles].find((write) => isRecent(write, now)) ?? null;
}

/** To be asked before the file is opened: opening makes such files itself. */
export function touchedSideFiles(path: string): readonly ForeignWrite[] {
  return ["-wal", "-journal"].flatMap((suffix) => {
    const found = statSync(path + suffix, { throwIfNoEntry: false });
    const at = Math.floor(found?.mtimeMs ?? 0) as EpochMs;
    return found === undefined || found.size === 0 ? [] : [{ at, how: `its ${suffix} was written at ${isoTime(at)}` }];
  });
}

/** @throws HarnessError `tickets-foreign` when somebody else wrote in the last minute. */
export function refuseForeign(write: ForeignWrite | null, path: string, now: EpochMs): void {
  if (write === null || !isRecent(write, now)) return;
  const age = Math.max(0, Math.round((now - write.at) / 1_000));
  throw new HarnessError(
    "tickets-foreign",
    `${path}: another program wrote to it ${age} s ago (${write.how}), and two of them do not share a file: end it and wait a minute, or name another file with --db`,
    { details: { path, at: write.at } },
  );
}

/** A clock that was set back in between must not lock the file for longer than the minute either. */
function isRecent({ at }: ForeignWrite, now: EpochMs): boolean {
  return Math.abs(now - at) < FOREIGN_SEEN_MS;
}

/** Tickets change in place; sessions and their entries are added, and the newest are the last. */
const TIMES = `
  SELECT created_at AS a, updated_at AS b, last_seen_at AS c FROM tickets
  UNION ALL SELECT * FROM (SELECT created_at, started_at, ended_at FROM agent_sessions ORDER BY id DESC LIMIT 100)
  UNION ALL SELECT * FROM (SELECT created_at, timestamp, NULL FROM agent_log_entries ORDER BY id DESC LIMIT 1)`;

function timesIn(db: Database): readonly string[] {
  const has = (table: string) => db.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table) !== undefined;
  const parts = TIMES.split("UNION ALL").filter((part) => has(/FROM (agent_\w+|tickets)/.exec(part)?.[1] ?? ""));
  const rows = db.prepare<[], Record<string, unknown>>(parts.join("UNION ALL")).all();
  return rows.flatMap((row) => Object.values(row)).filter((value): value is string => typeof value === "string");
}

/** Their own times are local without an offset, their database's are UTC without one: it may be either. */
function readings(text: string): readonly EpochMs[] {
  const hasOffset = /(Z|[+-]\d\d:?\d\d)$/i.test(text.trim());
  return hasOffset ? [timeOf(text)] : [timeOf(text), timeOf(`${text.trim()}Z`)];
}
