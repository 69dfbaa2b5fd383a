import type { Moment, TicketFile } from "./ticket-file.ts";
import { sqlFrom, sqlTo } from "./transitions.ts";

/** Hands an incident to people: no attempts are left. */
export function escalateIncident(file: TicketFile, batchKey: string, why: string, moment: Moment): void {
  file
    .sql(
      `UPDATE tickets SET status = ${sqlTo("exhaust")}, escalated = 1, ending = 'escalated', holder = NULL,
         lease_until_ms = NULL, settle_until_ms = NULL, updated_at = @at,
         diagnosis = 'ESCALATED: ' || @why || COALESCE('; last diagnosis: ' || diagnosis, '')
       WHERE batch_key = @batchKey AND status IN ${sqlFrom("exhaust")} AND duplicate_of IS NULL AND escalated = 0`,
    )
    .run({ batchKey, why, at: moment.text });
}
