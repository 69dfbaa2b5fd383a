import type { Database } from "better-sqlite3";
import { WITNESSES } from "./foreign-writer.ts";
import { PEOPLE_COMMANDS_TABLE } from "./people-commands.ts";
import { WATCHDOG_TABLES } from "./watchdog-events.ts";

/** Grows by one with every change below. A file with a greater number is refused: it knows something that we do not. */
export const SCHEMA_VERSION = 4;

/**
 * The tables that we share with the Python operator lab, by its names and meanings. Its inserts leave out most columns,
 * so all have defaults; these are the only places where the database's own clock is asked.
 */
const SHARED = `
CREATE TABLE IF NOT EXISTS tickets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  violation_key TEXT NOT NULL,
  invariant_name TEXT NOT NULL,
  store_id TEXT,
  status TEXT NOT NULL DEFAULT 'open',
  held BOOLEAN NOT NULL DEFAULT 0,
  batch_key TEXT,
  occurrence_count INTEGER NOT NULL DEFAULT 1,
  first_seen_at TEXT NOT NULL,
  last_seen_at TEXT NOT NULL,
  resolved_at TEXT,
  message TEXT NOT NULL,
  severity TEXT NOT NULL DEFAULT 'warning',
  diagnosis TEXT,
  metric_snapshot TEXT,
  subject_context TEXT,
  variant_model TEXT,
  variant_system_prompt TEXT,
  variant_tools_config TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE IF NOT EXISTS agent_sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL UNIQUE,
  ticket_id INTEGER REFERENCES tickets(id),
  status TEXT NOT NULL DEFAULT 'running',
  started_at TEXT NOT NULL,
  ended_at TEXT,
  outcome_summary TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE TABLE IF NOT EXISTS agent_log_entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES agent_sessions(session_id),
  entry_type TEXT NOT NULL,
  content TEXT NOT NULL,
  raw_content TEXT,
  tool_name TEXT,
  tool_params TEXT,
  exit_code INTEGER,
  timestamp TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);`;

/** Ours, added to whatever is there. Each allows a row written by somebody who does not know it. */
const OWN_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  tickets: [
    "instance TEXT",
    "manual INTEGER NOT NULL DEFAULT 0",
    "escalated INTEGER NOT NULL DEFAULT 0",
    // Fencing: grows with every claim of the incident. Attempts used = attempt - attempt_base.
    "attempt INTEGER NOT NULL DEFAULT 0",
    "attempt_base INTEGER NOT NULL DEFAULT 0",
    "holder TEXT",
    // Integer milliseconds of the file's own clock (ticket-clock.ts): text times of two programs do not compare.
    "lease_until_ms INTEGER",
    "first_seen_ms INTEGER",
    "settle_until_ms INTEGER",
    "ending TEXT",
    "duplicate_of INTEGER",
  ],
  agent_sessions: [
    "batch_key TEXT",
    "instance TEXT",
    "holder TEXT",
    "attempt INTEGER",
    "operator TEXT",
    "scripted INTEGER",
    "model TEXT",
    "details TEXT",
    "ending TEXT",
    "diagnosis TEXT",
    "input_tokens INTEGER NOT NULL DEFAULT 0",
    "output_tokens INTEGER NOT NULL DEFAULT 0",
    "cache_read_tokens INTEGER NOT NULL DEFAULT 0",
    "cache_write_tokens INTEGER NOT NULL DEFAULT 0",
    "usd REAL NOT NULL DEFAULT 0",
    "turns INTEGER NOT NULL DEFAULT 0",
  ],
  agent_log_entries: ["ended_at TEXT", "effect TEXT"],
};

/** Of the file itself, since version 3: who is writing, and when somebody wrote who does not know us. */
const FILE_COLUMNS = ["writing INTEGER NOT NULL DEFAULT 0", "foreign_ms INTEGER"];

/**
 * `generation` tells readers that something they wait for has changed, whoever wrote it: the triggers run in the Python
 * lab's connection as well. Renewals and log entries do not count, or every agent would wake every other.
 */
const OWN = `
CREATE TABLE IF NOT EXISTS ticket_file (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL,
  time_form TEXT NOT NULL,
  clock_ms INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  writing INTEGER NOT NULL DEFAULT 0,
  foreign_ms INTEGER
);
CREATE TABLE IF NOT EXISTS monitors (
  monitor TEXT PRIMARY KEY,
  instance TEXT NOT NULL,
  subject TEXT NOT NULL,
  every_ms INTEGER NOT NULL,
  invariants TEXT NOT NULL,
  beat_at TEXT NOT NULL,
  beat_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS approvals (
  id TEXT PRIMARY KEY,
  batch_key TEXT NOT NULL,
  holder TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  instance TEXT NOT NULL,
  session_id TEXT,
  operator TEXT NOT NULL,
  tool TEXT NOT NULL,
  input TEXT NOT NULL,
  effect TEXT NOT NULL,
  call_digest TEXT NOT NULL,
  state TEXT NOT NULL,
  state_digest TEXT NOT NULL,
  status TEXT NOT NULL,
  requested_at TEXT NOT NULL,
  requested_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  decided_at TEXT,
  decided_ms INTEGER,
  decided_by TEXT,
  decision_reason TEXT,
  used_ms INTEGER,
  executed_ms INTEGER
);
CREATE TABLE IF NOT EXISTS incident_doors (
  batch_key TEXT NOT NULL,
  holder TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  instance TEXT NOT NULL,
  socket TEXT NOT NULL,
  opened_ms INTEGER NOT NULL,
  PRIMARY KEY (batch_key, holder, attempt)
);
CREATE TABLE IF NOT EXISTS incident_tokens (
  digest TEXT PRIMARY KEY,
  batch_key TEXT NOT NULL,
  holder TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  scopes TEXT NOT NULL,
  issued_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_approvals_instance ON approvals (instance, requested_ms);
CREATE UNIQUE INDEX IF NOT EXISTS uq_tickets_unresolved ON tickets (violation_key)
  WHERE status <> 'resolved' AND duplicate_of IS NULL;
CREATE INDEX IF NOT EXISTS ix_tickets_key_resolved ON tickets (violation_key, resolved_at);
CREATE INDEX IF NOT EXISTS ix_tickets_batch ON tickets (batch_key);
CREATE INDEX IF NOT EXISTS ix_tickets_instance ON tickets (instance) WHERE status <> 'resolved';
CREATE INDEX IF NOT EXISTS ix_tickets_claimed ON tickets (instance, lease_until_ms)
  WHERE status = 'acknowledged' AND holder IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_tickets_queue ON tickets
  (CASE severity WHEN 'critical' THEN 0 ELSE 1 END, first_seen_ms, id) WHERE status IN ('open', 'acknowledged');
CREATE INDEX IF NOT EXISTS ix_tickets_unadopted ON tickets (id) WHERE first_seen_ms IS NULL;
CREATE INDEX IF NOT EXISTS ix_sessions_batch ON agent_sessions (batch_key);
CREATE INDEX IF NOT EXISTS ix_sessions_ticket ON agent_sessions (ticket_id);
CREATE INDEX IF NOT EXISTS ix_log_session ON agent_log_entries (session_id, id);
CREATE TRIGGER IF NOT EXISTS tickets_generation_insert AFTER INSERT ON tickets BEGIN
  UPDATE ticket_file SET generation = generation + 1;
END;
CREATE TRIGGER IF NOT EXISTS tickets_generation_update AFTER UPDATE OF status, held ON tickets
  WHEN OLD.status IS NOT NEW.status OR OLD.held IS NOT NEW.held BEGIN
  UPDATE ticket_file SET generation = generation + 1;
END;
CREATE TRIGGER IF NOT EXISTS approvals_generation_insert AFTER INSERT ON approvals BEGIN
  UPDATE ticket_file SET generation = generation + 1;
END;
CREATE TRIGGER IF NOT EXISTS approvals_generation_update AFTER UPDATE OF status ON approvals
  WHEN OLD.status IS NOT NEW.status BEGIN
  UPDATE ticket_file SET generation = generation + 1;
END;`;

/** Only in files that we made: theirs has a trigger of its own for this. */
const TOUCH = `
CREATE TRIGGER IF NOT EXISTS tickets_updated_at AFTER UPDATE ON tickets WHEN NEW.updated_at IS OLD.updated_at BEGIN
  UPDATE tickets SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;`;

/** The version of the file, 0 when it is empty or not yet ours. */
export function schemaVersion(db: Database): number {
  if (!hasTable(db, "ticket_file")) return 0;
  return db.prepare<[], number>("SELECT version FROM ticket_file").pluck().get() ?? 0;
}

/** True for a file of the Python lab that we have not opened before. */
export function isForeign(db: Database): boolean {
  return hasTable(db, "tickets") && !hasTable(db, "ticket_file");
}

/** Brings an empty, older or foreign file up to date; idempotent. To be run inside one write transaction. */
export function migrate(db: Database): void {
  const foreign = isForeign(db);
  db.exec(SHARED);
  for (const [table, columns] of Object.entries(OWN_COLUMNS)) addMissingColumns(db, table, columns);
  if (foreign) markDuplicates(db);
  db.exec(OWN);
  addMissingColumns(db, "ticket_file", FILE_COLUMNS);
  db.exec(WITNESSES);
  db.exec(WATCHDOG_TABLES);
  db.exec(PEOPLE_COMMANDS_TABLE);
  if (!foreign && schemaVersion(db) === 0) db.exec(TOUCH);
  db.prepare("INSERT OR IGNORE INTO ticket_file (id, version, time_form) VALUES (1, ?, ?)").run(
    SCHEMA_VERSION,
    foreign ? "local" : "utc",
  );
  db.prepare("UPDATE ticket_file SET version = ?").run(SCHEMA_VERSION);
}

function addMissingColumns(db: Database, table: string, columns: readonly string[]): void {
  const present = new Set(db.prepare<[string], string>("SELECT name FROM pragma_table_info(?)").pluck().all(table));
  for (const column of columns)
    if (!present.has(column.split(" ", 1)[0] ?? "")) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column}`);
}

/** Theirs may hold several unresolved rows of one key. The oldest stands; the others are marked, never deleted. */
function markDuplicates(db: Database): void {
  db.exec(`
    UPDATE tickets SET duplicate_of = older.first_id
    FROM (SELECT violation_key, MIN(id) AS first_id FROM tickets WHERE status <> 'resolved' GROUP BY violation_key) older
    WHERE tickets.violation_key = older.violation_key AND tickets.status <> 'resolved' AND tickets.id <> older.first_id`);
}

function hasTable(db: Database, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined;
}
