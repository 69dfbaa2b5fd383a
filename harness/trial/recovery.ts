import type { TrialRecord } from "../store/record.ts";

type Samples = TrialRecord["samples"];

export interface PredicateRecovery {
  readonly broke: boolean;
  /** Start of the unbroken run that lasts to the end of watching; null = not recovered by then. */
  readonly recoveredMs: number | null;
}

/** Pure. `unknown` samples are not `held`: a predicate that cannot be read at the end has not recovered. */
export function predicateRecovery(samples: Samples, index: number): PredicateRecovery {
  const after = samples.filter((sample) => sample.atMs >= 0);
  const broke = after.some((sample) => sample.held[index] === false);
  return { broke, recoveredMs: lastRunStart(after, (sample) => sample.held[index] === true) };
}

/** Start of the unbroken run in which all predicates hold and which lasts to the end, or null. */
export function hypothesisRecovery(samples: Samples): PredicateRecovery {
  const after = samples.filter((sample) => sample.atMs >= 0);
  const broke = after.some((sample) => sample.held.includes(false));
  return { broke, recoveredMs: lastRunStart(after, (sample) => sample.held.every((held) => held === true)) };
}

function lastRunStart(samples: Samples, holds: (sample: Samples[number]) => boolean): number | null {
  let start: number | null = null;
  for (const sample of samples) {
    if (!holds(sample)) start = null;
    else start ??= sample.atMs;
  }
  return start;
}
