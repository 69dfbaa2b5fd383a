import { labelKey, NAME, without, type Labels } from "../labels.ts";
import { parseFloatText } from "../text-format.ts";
import { emptySeries, merged, type Grid, type StepSeries } from "./grid.ts";

export interface Bucket {
  readonly upper: number;
  count: number;
}

interface Histogram {
  readonly labels: Labels;
  readonly buckets: { readonly upper: number; readonly series: StepSeries }[];
}

/**
 * A function of classic histograms (series with a label `le`, one histogram for all others) at every instant; buckets
 * come sorted, those of the same bound added up.
 */
export function overHistograms(
  list: readonly StepSeries[],
  grid: Grid,
  run: (buckets: Bucket[], step: number) => number,
): StepSeries[] {
  return merged(
    [...histograms(list).values()].map(({ labels, buckets }) => {
      const result = emptySeries(labels, grid);
      buckets.sort((a, b) => a.upper - b.upper);
      for (let step = 0; step < grid.count; step++) {
        const own: Bucket[] = [];
        for (const { upper, series } of buckets) {
          if (series.present[step] === 0) continue;
          const count = series.values[step] as number;
          const last = own.at(-1);
          if (last?.upper === upper) last.count += count;
          else own.push({ upper, count });
        }
        if (own.length === 0) continue;
        result.present[step] = 1;
        result.values[step] = own.at(-1)?.upper === Infinity ? run(own, step) : NaN;
      }
      return result;
    }),
  );
}

function histograms(list: readonly StepSeries[]): Map<string, Histogram> {
  const found = new Map<string, Histogram>();
  for (const series of list) {
    const upper = parseFloatText(series.labels["le"] ?? "");
    if (upper === null) continue;
    // Two metrics are two histograms, although their results have the same labels.
    const key = labelKey(without(series.labels, ["le"]));
    const histogram = found.get(key) ?? { labels: without(series.labels, [NAME, "le"]), buckets: [] };
    found.set(key, histogram);
    histogram.buckets.push({ upper, series });
  }
  return found;
}

/** `BucketQuantile` of promql/quantile.go: linear within a bucket, the first one beginning at zero. */
export function bucketQuantile(q: number, buckets: Bucket[]): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  makeMonotonic(buckets);
  if (buckets.length < 2) return NaN;
  const last = buckets.length - 1;
  const observations = (buckets[last] as Bucket).count;
  if (observations === 0) return NaN;
  let rank = q * observations;
  const found = search(last, (index) => (buckets[index] as Bucket).count >= rank);
  if (found === last) return (buckets[last - 1] as Bucket).upper;
  let { upper, count } = buckets[found] as Bucket;
  if (found === 0 && upper <= 0) return upper;
  let start = 0;
  if (found > 0) {
    const before = buckets[found - 1] as Bucket;
    start = before.upper;
    count -= before.count;
    rank -= before.count;
  }
  return start + (upper - start) * (rank / count);
}

/** Go's `sort.Search`, which also says where a search over values that are not in order ends. */
function search(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

const SMALL_DELTA = 1e-12;

/** Scraped at different instants, counts may seem to fall; and differences of rounding are none. */
function makeMonotonic(buckets: Bucket[]): void {
  let previous = buckets[0]?.count ?? 0;
  for (const bucket of buckets.slice(1)) {
    if (bucket.count === previous) continue;
    if (almostEqual(previous, bucket.count) || bucket.count < previous) bucket.count = previous;
    else previous = bucket.count;
  }
}

/** util/almost */
function almostEqual(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true;
  const [sum, difference] = [Math.abs(a) + Math.abs(b), Math.abs(a - b)];
  if (a === 0 || b === 0 || sum < 2 ** -1022) return difference < SMALL_DELTA * 2 ** -1022;
  return difference / Math.min(sum, Number.MAX_VALUE) < SMALL_DELTA;
}

/** `BucketFraction` of promql/quantile.go: the share of observations between two values. */
export function bucketFraction(lower: number, upper: number, buckets: readonly Bucket[]): number {
  const count = buckets.at(-1)?.count ?? 0;
  if (count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN;
  if (lower >= upper) return 0;
  let [lowerRank, upperRank]: [number | null, number | null] = [null, null];
  let [rank, from] = [0, -Infinity];
  for (const { upper: to, count: reached } of buckets) {
    const rankOf = (value: number, known: number | null): number | null => {
      if (known !== null) return known;
      if (from >= value) return rank;
      return to > value ? rank + ((reached - rank) * (value - from)) / (to - from) : null;
    };
    lowerRank = rankOf(lower, lowerRank);
    upperRank = rankOf(upper, upperRank);
    if (lowerRank !== null && upperRank !== null) break;
    rank = reached;
    from = to;
  }
  const bounded = (value: number | null) => (value === null || value > count ? count : value);
  return (bounded(upperRank) - bounded(lowerRank)) / count;
}
