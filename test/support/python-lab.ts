import { join } from "node:path";
import Sqlite from "better-sqlite3";

/** Their schema, as tickets-schema.md gives it. */
const SCHEMA = `
  CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT, violation_key TEXT NOT NULL,
    invariant_name TEXT NOT NULL, store_id TEXT, status TEXT NOT NULL DEFAULT 'open',
    held BOOLEAN NOT NULL DEFAULT 0, batch_key TEXT, occurrence_count INTEGER NOT NULL DEFAULT 1,
    first_seen_at TEXT NOT NULL, last_seen_at TEXT NOT NULL, resolved_at TEXT, message TEXT NOT NULL,
    severity TEXT NOT NULL DEFAULT 'warning', diagnosis TEXT, metric_snapshot TEXT, subject_context TEXT,
    variant_model TEXT, variant_system_prompt TEXT, variant_tools_config TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE INDEX idx_tickets_open_violation ON tickets(violation_key) WHERE status != 'resolved';
  CREATE TRIGGER tickets_touch AFTER UPDATE ON tickets BEGIN
    UPDATE tickets SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id; END;
  CREATE TABLE agent_sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL UNIQUE,
    ticket_id INTEGER NOT NULL REFERENCES tickets(id), status TEXT NOT NULL DEFAULT 'running',
    started_at TEXT NOT NULL, ended_at TEXT, outcome_summary TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE agent_log_entries (id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES agent_sessions(session_id), entry_type TEXT NOT NULL,
    content TEXT NOT NULL, raw_content TEXT, tool_name TEXT, tool_params TEXT, exit_code INTEGER,
    timestamp TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);`;

/** What `tickets.db` in `folder` is after the Python lab has worked with it and ended. Returns its path. */
export function pythonFile(folder: string): string {
  const path = join(folder, "tickets.db");
  const db = new Sqlite(path);
  db.exec(SCHEMA);
  pythonInsert(db, "store_up:tikv1", "2026-01-01T01:00:00.000001", "critical");
  pythonInsert(db, "store_up:tikv1", "2026-01-01T02:00:00.000001", "critical");
  pythonInsert(db, "p99", "2026-01-01T03:00:00.000001");
  pythonInsert(db, "disk:tikv3", "2026-01-01T04:00:00");
  db.exec("UPDATE tickets SET status = 'resolved', resolved_at = '2026-01-01T05:00:00' WHERE id = 3");
  db.exec("UPDATE tickets SET status = 'acknowledged' WHERE id = 4");
  db.close();
  return path;
}

/** As their monitor reports: what it does not name has their defaults. */
export function pythonInsert(db: Sqlite.Database, key: string, at: string, severity = "warning"): void {
  const [invariant, store = null] = key.split(":");
  db.prepare(
    `INSERT INTO tickets (violation_key, invariant_name, store_id, message, severity, first_seen_at, last_seen_at,
       batch_key, subject_context) VALUES (?, ?, ?, 'down', ?, ?, ?, NULL, NULL)`,
  ).run(key, invariant, store, severity, at, at);
}
