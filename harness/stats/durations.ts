/** One duration, or the knowledge that it was longer than was watched. */
export interface CensoredDuration {
  readonly ms: number;
  /** True = it had not ended after `ms`. */
  readonly censored: boolean;
}

export interface DurationSpread {
  readonly count: number;
  readonly censored: number;
  /** null = at least half had not ended when watching stopped: the median is beyond what was seen. */
  readonly medianMs: number | null;
  /** Shortest that ended; null when none did. */
  readonly minMs: number | null;
  /** Longest; null when any had not ended. */
  readonly maxMs: number | null;
  /** The longest time that anything was watched. */
  readonly watchedMs: number;
}

/**
 * Median and range of durations of which some were cut off. A cut-off one counts as longer than everything: exact as
 * long as it was watched for at least as long as those that ended, and never too short otherwise.
 *
 * @throws RangeError when there are none.
 */
export function durationSpread(durations: readonly CensoredDuration[]): DurationSpread {
  if (durations.length === 0) throw new RangeError("no durations");
  const count = durations.length;
  const ended = durations
    .filter((duration) => !duration.censored)
    .map((duration) => duration.ms)
    .toSorted((a, b) => a - b);
  const middle = (index: number) => ended[index] ?? null;
  const [low, high] = [middle(Math.ceil(count / 2) - 1), middle(Math.floor(count / 2))];
  return {
    count,
    censored: count - ended.length,
    medianMs: low === null || high === null ? null : (low + high) / 2,
    minMs: ended[0] ?? null,
    maxMs: ended.length === count ? (ended.at(-1) ?? null) : null,
    watchedMs: Math.max(...durations.map((duration) => duration.ms)),
  };
}
