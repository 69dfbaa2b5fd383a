import type { Operation, Verdict } from "../protocol.ts";
import { checkAcknowledgedWrites, countWrites } from "./acknowledged-writes.ts";
import { mergeVerdicts, runChecker } from "./merge.ts";
import { checkReads } from "./reads.ts";

export interface Integrity {
  readonly verdict: Verdict;
  readonly acknowledged: number;
  /** null = not known. */
  readonly lost: number | null;
}

/**
 * The data check of a trial: the final state and every read on the way. A history in which no read was answered is
 * judged by its final state alone.
 */
export function checkIntegrity(history: readonly Operation[], final: ReadonlyMap<string, string> | null): Integrity {
  const answeredReads = history.some((op) => op.kind === "read" && op.outcome === "ok");
  const checkers = answeredReads ? [checkAcknowledgedWrites, checkReads] : [checkAcknowledgedWrites];
  const verdict = mergeVerdicts(checkers.map((checker) => runChecker(checker, history, final)));
  return { verdict, ...countWrites(history, final) };
}
