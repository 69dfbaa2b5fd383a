import type { Labels } from "../labels.ts";
import { withoutName } from "./drop-name.ts";
import { emptySeries, type Grid, type StepSeries } from "./grid.ts";
import type { RangeFunction } from "./range-functions.ts";
import type { Samples, SourceSeries } from "./source.ts";

/** Samples that a range vector is made of: of stored series, or of a subquery. */
export interface RangeInput {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
}

/** How an instant of the grid becomes an instant of the samples; later ones never become earlier. */
export type Shift = (atMs: number) => number;

/**
 * The newest sample of a series within the lookback (open on the left) at every instant; a stale marker means none.
 * `timestamps` gives the samples' own times, in seconds, instead of their values.
 */
export function instantSeries(
  series: SourceSeries,
  grid: Grid,
  {
    shift,
    lookbackMs,
    timestamps,
  }: { readonly shift: Shift; readonly lookbackMs: number; readonly timestamps: boolean },
): StepSeries {
  const result = emptySeries(timestamps ? withoutName(series.labels) : series.labels, grid);
  const [first, last] = [shift(grid.startMs), shift(grid.startMs + (grid.count - 1) * grid.stepMs)];
  const { times, values, stale } = series.between(first - lookbackMs, last);
  let index = -1;
  for (let step = 0, atMs = grid.startMs; step < grid.count; step++, atMs += grid.stepMs) {
    const when = shift(atMs);
    while (index + 1 < times.length && (times[index + 1] as number) <= when) index++;
    if (index < 0 || (stale !== null && stale[index] === 1)) continue;
    const timeMs = times[index] as number;
    if (timeMs <= when - lookbackMs) continue;
    result.present[step] = 1;
    result.values[step] = timestamps ? timeMs / 1_000 : (values[index] as number);
  }
  return result;
}

/** Stored samples without stale markers. */
export function rangeInput(labels: Labels, { times, values, stale }: Samples): RangeInput {
  if (stale === null) return { labels, times, values };
  const kept = (_: number, index: number) => stale[index] === 0;
  return { labels, times: times.filter(kept), values: values.filter(kept) };
}

/** What a subquery's inner expression gave, as samples. */
export function subqueryInput({ labels, values, present }: StepSeries, grid: Grid): RangeInput {
  let count = 0;
  for (const one of present) count += one;
  const input = { labels, times: new Float64Array(count), values: new Float64Array(count) };
  for (let step = 0, at = 0; step < grid.count; step++) {
    if (present[step] === 0) continue;
    input.times[at] = grid.startMs + step * grid.stepMs;
    input.values[at++] = values[step] as number;
  }
  return input;
}

/** A function over the window (open on the left) that ends at every instant of the grid. */
export function overWindows(
  { labels, times, values }: RangeInput,
  grid: Grid,
  run: RangeFunction,
  {
    shift,
    rangeMs,
    scalars,
  }: { readonly shift: Shift; readonly rangeMs: number; readonly scalars: Float64Array | null },
): StepSeries {
  const result = emptySeries(labels, grid);
  // One for all instants: a new one for each would cost more than most functions do.
  const window = { times, values, low: 0, high: 0, fromMs: 0, toMs: 0, rangeMs, atMs: 0, scalar: NaN };
  for (let step = 0, atMs = grid.startMs; step < grid.count; step++, atMs += grid.stepMs) {
    window.atMs = atMs;
    window.toMs = shift(atMs);
    window.fromMs = window.toMs - Math.trunc(rangeMs);
    while (window.high < times.length && (times[window.high] as number) <= window.toMs) window.high++;
    while (window.low < window.high && (times[window.low] as number) <= window.fromMs) window.low++;
    if (window.low === window.high) continue;
    if (scalars !== null) window.scalar = scalars[step] as number;
    const value = run(window);
    if (value === null) continue;
    result.present[step] = 1;
    result.values[step] = value;
  }
  return result;
}
