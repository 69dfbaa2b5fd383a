import { clientView } from "../checkers/client-view.ts";
import { checkIntegrity } from "../checkers/integrity.ts";
import type { RunData } from "../store/run-folder.ts";
import type { TrialRecord } from "../store/record.ts";

/** Below this share of successes in a second, clients notice. */
const CLIENT_TARGET = { okRatio: 0.99, windowMs: 1_000 };

/** Fills in what the history says: the data check, what clients saw and when they first saw it. */
export function judgeData(record: TrialRecord, { history, final }: RunData): void {
  record.integrity = checkIntegrity(history, final);
  const { slices: _, ...clients } = clientView(history, { ...CLIENT_TARGET, zeroMs: record.historyZeroMs ?? 0 });
  record.clients = clients;
  record.marks.breachMs = clients.firstBreachMs === null ? null : Math.round(clients.firstBreachMs);
}
