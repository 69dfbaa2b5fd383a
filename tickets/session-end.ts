import type { OperatorEnding, SubmittedDiagnosis, Usage } from "../harness/protocol.ts";
import type { Moment, TicketFile } from "./ticket-file.ts";
import type { Session } from "./types.ts";

/** `agent_sessions.status` has only the words that the Python lab knows; the exact ending is a column of ours. */
export const SESSION_STATUS = {
  resolved: "resolved",
  "no-fault": "resolved",
  escalated: "escalated",
  failed: "failed",
  limit: "failed",
  released: "failed",
  lost: "failed",
} as const satisfies Record<OperatorEnding | "released" | "lost", Session["status"]>;

export interface SessionOutcome {
  readonly ending: keyof typeof SESSION_STATUS;
  readonly reason: string;
  readonly diagnosis?: SubmittedDiagnosis | null;
  readonly usage?: Usage;
}

/** Inside a write transaction. A session that has ended stays as it ended. */
export function endSessionRow(file: TicketFile, sessionId: string, end: SessionOutcome, moment: Moment): void {
  file
    .sql(
      `UPDATE agent_sessions SET status = @status, ending = @ending, outcome_summary = @reason, ended_at = @at,
         diagnosis = @diagnosis, input_tokens = @inputTokens, output_tokens = @outputTokens,
         cache_read_tokens = @cacheReadTokens, cache_write_tokens = @cacheWriteTokens, usd = @usd, turns = @turns
       WHERE session_id = @sessionId AND status = 'running'`,
    )
    .run({
      sessionId,
      status: SESSION_STATUS[end.ending],
      ending: end.ending,
      reason: end.reason,
      at: moment.text,
      diagnosis: end.diagnosis == null ? null : JSON.stringify(end.diagnosis),
      ...(end.usage ?? NO_USAGE),
    });
}

const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  usd: 0,
  turns: 0,
};
