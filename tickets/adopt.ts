import type { TicketFile } from "./ticket-file.ts";
import { timeOf } from "./time-form.ts";

/**
 * Gives rows that another program wrote what our order needs: the integer time, and an incident of their own where
 * theirs has none. Their text stays. Inside a write transaction.
 */
export function adoptRows(file: TicketFile): void {
  const rows = file.sql("SELECT id, first_seen_at FROM tickets WHERE first_seen_ms IS NULL").all() as {
    id: number;
    first_seen_at: unknown;
  }[];
  // A hold in words is a hold: as a number SQLite reads it as none.
  if (rows.length > 0)
    file
      .sql(
        `UPDATE tickets SET held = lower(held) NOT IN ('', 'false', 'no') WHERE typeof(held) NOT IN ('integer', 'null')`,
      )
      .run();
  for (const { id, first_seen_at } of rows)
    file
      .sql("UPDATE tickets SET first_seen_ms = ?, batch_key = COALESCE(NULLIF(batch_key, ''), ?) WHERE id = ?")
      .run(timeOf(String(first_seen_at)), `ticket-${id}`, id);
}
