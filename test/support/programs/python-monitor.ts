/** Writes as the Python lab's monitor does, again and again, until it is told to stop. argv: its ticket file. */
import Sqlite from "better-sqlite3";

const db = new Sqlite(process.argv[2] ?? "", { timeout: 5_000 });
// Theirs is Python's default, not WAL.
const seen = () =>
  db.exec(
    "UPDATE tickets SET occurrence_count = occurrence_count + 1, last_seen_at = '2026-01-01T06:00:00' WHERE id = 1",
  );
seen();
process.stdout.write("wrote\n");
const timer = setInterval(seen, 100);
process.once("SIGTERM", () => {
  clearInterval(timer);
  db.close();
});
