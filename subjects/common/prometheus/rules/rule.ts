import type { EpochMs } from "../../../../harness/base/clock.ts";
import type { Labels } from "../labels.ts";
import type { InstantSample } from "../promql/value.ts";

export interface RuleDeps {
  /** An instant query; a scalar comes as one sample without labels. @throws QueryError */
  readonly query: (text: string, atMs: EpochMs) => readonly InstantSample[];
  readonly externalLabels: Labels;
  readonly externalUrl: string;
}

/** What became of a rule's last evaluation. */
export interface RuleHealth {
  readonly health: "unknown" | "ok" | "err";
  readonly lastError: string;
  readonly evaluationSeconds: number;
  /** Null before the first. */
  readonly lastEvaluation: EpochMs | null;
}
