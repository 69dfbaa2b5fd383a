import type { RangeSeries } from "./value.ts";
import { quantileOf } from "./quantile.ts";

export interface RangeWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

/** One series within one window -> one value, or null when it says nothing. */
export type RangeFunction = (series: RangeSeries, window: RangeWindow) => number | null;

/**
 * Difference over the window, extrapolated to its ends: `extrapolatedRate` of Prometheus 3 (promql/functions.go). A
 * counter that fell has been reset: what it had reached is added again; it is not extrapolated below zero.
 */
function extrapolated(
  { times, values }: RangeSeries,
  { fromMs, toMs }: RangeWindow,
  kind: { readonly counter: boolean; readonly perSecond: boolean },
): number | null {
  const count = values.length;
  if (count < 2) return null;
  const [first, last] = [values[0] as number, values[count - 1] as number];
  let result = last - first;
  if (kind.counter)
    for (let index = 1; index < count; index++) {
      const previous = values[index - 1] as number;
      if ((values[index] as number) < previous) result += previous;
    }
  const sampled = ((times[count - 1] as number) - (times[0] as number)) / 1_000;
  const average = sampled / (count - 1);
  const threshold = average * 1.1;
  let toStart = ((times[0] as number) - fromMs) / 1_000;
  let toEnd = (toMs - (times[count - 1] as number)) / 1_000;
  if (toStart >= threshold) toStart = average / 2;
  if (kind.counter && result > 0 && first >= 0) toStart = Math.min(toStart, sampled * (first / result));
  if (toEnd >= threshold) toEnd = average / 2;
  const factor = (sampled + toStart + toEnd) / sampled;
  return (result * factor) / (kind.perSecond ? (toMs - fromMs) / 1_000 : 1);
}

/** The last two samples alone. */
function instant({ times, values }: RangeSeries, kind: "irate" | "idelta"): number | null {
  const count = values.length;
  if (count < 2) return null;
  const [last, previous] = [values[count - 1] as number, values[count - 2] as number];
  const difference = kind === "irate" && last < previous ? last : last - previous;
  if (kind === "idelta") return difference;
  const seconds = ((times[count - 1] as number) - (times[count - 2] as number)) / 1_000;
  return seconds === 0 ? null : difference / seconds;
}

function countPairs({ values }: RangeSeries, counts: (before: number, after: number) => boolean): number | null {
  if (values.length === 0) return null;
  let count = 0;
  for (let index = 1; index < values.length; index++)
    if (counts(values[index - 1] as number, values[index] as number)) count++;
  return count;
}

/** Least squares: slope per second, and the value at `interceptMs`. */
export function linearRegression(
  { times, values }: RangeSeries,
  interceptMs: number,
): { slope: number; value: number } {
  const n = values.length;
  let [sumX, sumY, sumXY, sumX2] = [0, 0, 0, 0];
  for (let index = 0; index < n; index++) {
    const x = ((times[index] as number) - interceptMs) / 1_000;
    const y = values[index] as number;
    sumX += x;
    sumY += y;
    sumXY += x * y;
    sumX2 += x * x;
  }
  const constant = Array.from({ length: n }, (_, index) => values[index]).every((value) => value === values[0]);
  if (constant) return { slope: Number.isFinite(values[0] as number) ? 0 : NaN, value: values[0] as number };
  const slope = (sumXY - (sumX * sumY) / n) / (sumX2 - (sumX * sumX) / n);
  return { slope, value: sumY / n - (slope * sumX) / n };
}

const over =
  (reduce: (values: Float64Array) => number): RangeFunction =>
  ({ values }) =>
    values.length === 0 ? null : reduce(Float64Array.from(values));

const sum = (values: Float64Array): number => {
  // Neumaier's compensation, as Prometheus does it: long sums of small parts stay exact.
  let [total, lost] = [0, 0];
  for (const value of values) {
    const next = total + value;
    if (Math.abs(next) === Infinity) lost = 0;
    else lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
};
const mean = (values: Float64Array): number => sum(values) / values.length;
const variance = (values: Float64Array): number => {
  const centre = mean(values);
  return mean(values.map((value) => (value - centre) ** 2));
};
/** NaN loses against everything, as in Prometheus. */
const extreme = (values: Float64Array, better: (a: number, b: number) => boolean): number =>
  values.reduce((best, value) => (better(value, best) || Number.isNaN(best) ? value : best));

export { mean, sum, variance };

export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  rate: (series, window) => extrapolated(series, window, { counter: true, perSecond: true }),
  increase: (series, window) => extrapolated(series, window, { counter: true, perSecond: false }),
  delta: (series, window) => extrapolated(series, window, { counter: false, perSecond: false }),
  irate: (series) => instant(series, "irate"),
  idelta: (series) => instant(series, "idelta"),
  changes: (series) => countPairs(series, (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b))),
  resets: (series) => countPairs(series, (a, b) => b < a),
  deriv: (series) => (series.values.length < 2 ? null : linearRegression(series, series.times[0] as number).slope),
  avg_over_time: over(mean),
  sum_over_time: over(sum),
  min_over_time: over((values) => extreme(values, (a, b) => a < b)),
  max_over_time: over((values) => extreme(values, (a, b) => a > b)),
  count_over_time: over((values) => values.length),
  last_over_time: over((values) => values.at(-1) as number),
  first_over_time: over((values) => values[0] as number),
  present_over_time: over(() => 1),
  stddev_over_time: over((values) => Math.sqrt(variance(values))),
  stdvar_over_time: over(variance),
};

export function quantileOverTime(q: number, { values }: RangeSeries): number | null {
  return values.length === 0 ? null : quantileOf(q, Array.from(values));
}
