/** The same work with nothing but better-sqlite3: one claim and one completion per row, SQLite's own waiting. */
import Sqlite from "better-sqlite3";

const db = new Sqlite(process.argv[2] ?? "", { timeout: 60_000 });
db.pragma("synchronous = FULL");
const claim = db.prepare<[string], { id: number }>(
  `UPDATE queue SET state = 'taken', holder = ? WHERE id = (SELECT id FROM queue WHERE state = 'open' ORDER BY id LIMIT 1)
   RETURNING id`,
);
const complete = db.prepare("UPDATE queue SET state = 'done' WHERE id = ? AND holder = ?");
const holder = String(process.pid);
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));
for (;;) {
  const row = claim.get(holder);
  if (row === undefined) break;
  complete.run(row.id, holder);
}
process.exit(0);
