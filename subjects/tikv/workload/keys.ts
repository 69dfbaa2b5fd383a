import { createHash } from "node:crypto";

/** Prefix for instances of our own: the stand-in PD splits its key space below it (`k1`, `k2`, ...). */
export const OWN_KEY_PREFIX = "k";

/** In front of every key on a cluster that is not ours. */
export const FOREIGN_KEY_PREFIX = "client-check/";

/**
 * The key of one write: prefix, eight hex digits of a hash, run, number. The hash comes first, so that neighbours in
 * time are spread over the whole range below the prefix; it depends on the seed alone, so that a run with the same seed
 * loads the same ranges in the same order. The run makes keys of a restarted program new ones.
 */
export function keyOf({ keyPrefix, seed, run }: { keyPrefix: string; seed: number; run: string }, n: number): string {
  const spread = createHash("sha256").update(`${seed}/${n}`).digest("hex").slice(0, 8);
  return `${keyPrefix}${spread}-${run}-${n}`;
}

/** Unique over all runs, and it tells which write it came from. */
export function valueOf(run: string, n: number): string {
  return `v-${run}-${n}`;
}

/** Where to split so that the range below `keyPrefix` falls into 16 regions of equal load. */
export function splitKeys(keyPrefix: string): readonly string[] {
  return [..."123456789abcdef"].map((digit) => keyPrefix + digit);
}
