import { KahanSum, Mean } from "./go-math.ts";
import { quantileOf } from "./quantile.ts";

/** Samples `low` to `high` (exclusive) of one series, times in ms, within one window. */
export interface Window {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly low: number;
  readonly high: number;
  /** The window, open on the left: rates extrapolate to its ends. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly rangeMs: number;
  /** The instant of the evaluation, before any offset. */
  readonly atMs: number;
  /** The scalar that some functions take, at this instant. */
  readonly scalar: number;
}

/** At least one sample -> a value, or null when it takes more to say anything. */
export type RangeFunction = (window: Window) => number | null;

/** `extrapolatedRate` of promql/functions.go. A counter that fell has been reset; it is not extrapolated below zero. */
function extrapolated(
  { times, values, low, high, fromMs, toMs, rangeMs }: Window,
  counter: boolean,
  perSecond: boolean,
): number | null {
  const last = high - 1;
  if (last <= low) return null;
  const first = values[low] as number;
  let result = (values[last] as number) - first;
  if (counter)
    for (let index = low + 1, previous = first; index < high; index++) {
      const value = values[index] as number;
      if (value < previous) result += previous;
      previous = value;
    }
  let toStart = ((times[low] as number) - fromMs) / 1_000;
  let toEnd = (toMs - (times[last] as number)) / 1_000;
  const sampled = ((times[last] as number) - (times[low] as number)) / 1_000;
  const average = sampled / (last - low);
  const threshold = average * 1.1;
  if (toStart >= threshold) toStart = average / 2;
  if (counter && result > 0 && first >= 0) toStart = Math.min(toStart, sampled * (first / result));
  if (toEnd >= threshold) toEnd = average / 2;
  const factor = (sampled + toStart + toEnd) / sampled;
  return result * (perSecond ? factor / (rangeMs / 1_000) : factor);
}

/** The last two samples alone. */
function instant({ times, values, low, high }: Window, perSecond: boolean): number | null {
  if (high - low < 2) return null;
  const [last, previous] = [values[high - 1] as number, values[high - 2] as number];
  const ms = (times[high - 1] as number) - (times[high - 2] as number);
  if (ms === 0) return null;
  const difference = perSecond && last < previous ? last : last - previous;
  return perSecond ? difference / (ms / 1_000) : difference;
}

function countPairs({ values, low, high }: Window, counts: (before: number, after: number) => boolean): number {
  let count = 0;
  for (let index = low + 1; index < high; index++)
    if (counts(values[index - 1] as number, values[index] as number)) count++;
  return count;
}

/** Least squares: slope per second, and the value at `interceptMs`. */
function linearRegression({ times, values, low, high }: Window, interceptMs: number): { slope: number; value: number } {
  const [x, y, xy, x2] = [new KahanSum(), new KahanSum(), new KahanSum(), new KahanSum()];
  const first = values[low] as number;
  let constant = true;
  for (let index = low; index < high; index++) {
    const value = values[index] as number;
    const at = ((times[index] as number) - interceptMs) / 1e3;
    if (index > low && value !== first) constant = false;
    x.add(at);
    y.add(value);
    xy.add(at * value);
    x2.add(at * at);
  }
  if (constant) return Math.abs(first) === Infinity ? { slope: NaN, value: NaN } : { slope: 0, value: first };
  const n = high - low;
  const slope = (xy.total - (x.total * y.total) / n) / (x2.total - (x.total * x.total) / n);
  return { slope, value: y.total / n - (slope * x.total) / n };
}

function sum({ values, low, high }: Window): number {
  const all = new KahanSum();
  for (let index = low; index < high; index++) all.add(values[index] as number);
  return Math.abs(all.sum) === Infinity ? all.sum : all.total;
}

function average({ values, low, high }: Window): number {
  const mean = new Mean(values[low] as number);
  for (let index = low + 1; index < high; index++) mean.add(values[index] as number);
  return mean.value;
}

function variance({ values, low, high }: Window): number {
  const [mean, aux] = [new KahanSum(), new KahanSum()];
  let count = 0;
  for (let index = low; index < high; index++) {
    const value = values[index] as number;
    count++;
    const delta = value - mean.total;
    mean.add(delta / count);
    aux.add(delta * (value - mean.total));
  }
  return aux.total / count;
}

/** NaN loses against everything. */
function extreme({ values, low, high }: Window, sign: 1 | -1): number {
  let best = values[low] as number;
  for (let index = low; index < high; index++) {
    const value = values[index] as number;
    if (sign * (value - best) > 0 || Number.isNaN(best) || (value !== best && sign * value > sign * best)) best = value;
  }
  return best;
}

/** Functions of one range vector, by name; those with a scalar too read it from the window. */
export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  rate: (window) => extrapolated(window, true, true),
  increase: (window) => extrapolated(window, true, false),
  delta: (window) => extrapolated(window, false, false),
  irate: (window) => instant(window, true),
  idelta: (window) => instant(window, false),
  changes: (window) => countPairs(window, (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b))),
  resets: (window) => countPairs(window, (a, b) => b < a),
  deriv: (window) =>
    window.high - window.low < 2 ? null : linearRegression(window, window.times[window.low] as number).slope,
  predict_linear: (window) => {
    if (window.high - window.low < 2) return null;
    const { slope, value } = linearRegression(window, window.atMs);
    return slope * window.scalar + value;
  },
  avg_over_time: average,
  sum_over_time: sum,
  min_over_time: (window) => extreme(window, -1),
  max_over_time: (window) => extreme(window, 1),
  count_over_time: ({ low, high }) => high - low,
  last_over_time: ({ values, high }) => values[high - 1] as number,
  present_over_time: () => 1,
  absent_over_time: () => 1,
  stddev_over_time: (window) => Math.sqrt(variance(window)),
  stdvar_over_time: variance,
  quantile_over_time: ({ values, low, high, scalar }) => quantileOf(scalar, values.subarray(low, high)),
};
