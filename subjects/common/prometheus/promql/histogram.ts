import { labelKey, NAME, without } from "../labels.ts";
import { parseFloatText } from "../text-format.ts";
import type { InstantSample } from "./value.ts";

interface Bucket {
  readonly upper: number;
  count: number;
}

/** `histogram_quantile` over classic buckets: samples with a label `le`, grouped by all others. */
export function histogramQuantile(q: number, samples: readonly InstantSample[]): InstantSample[] {
  const groups = new Map<string, { labels: InstantSample["labels"]; buckets: Bucket[] }>();
  for (const { labels, value } of samples) {
    const upper = labels["le"] === undefined ? null : parseFloatText(labels["le"]);
    if (upper === null) continue;
    const rest = without(labels, [NAME, "le"]);
    const key = labelKey(rest);
    const group = groups.get(key) ?? { labels: rest, buckets: [] };
    groups.set(key, group);
    group.buckets.push({ upper, count: value });
  }
  return [...groups.values()].map(({ labels, buckets }) => ({ labels, value: bucketQuantile(q, buckets) }));
}

/** As `BucketQuantile` (promql/quantile.go): linear within a bucket, the first one beginning at zero. */
function bucketQuantile(q: number, given: readonly Bucket[]): number {
  if (Number.isNaN(q)) return NaN;
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const buckets = coalesced(given.toSorted((a, b) => a.upper - b.upper));
  if (buckets.at(-1)?.upper !== Infinity || buckets.length < 2) return NaN;
  for (let index = 1; index < buckets.length; index++) {
    const [before, bucket] = [buckets[index - 1] as Bucket, buckets[index] as Bucket];
    // Scraped at different instants, counts may seem to fall.
    bucket.count = Math.max(bucket.count, before.count);
  }
  const observations = (buckets.at(-1) as Bucket).count;
  if (!(observations > 0)) return NaN;
  let rank = q * observations;
  const found = buckets.slice(0, -1).findIndex((bucket) => bucket.count >= rank);
  if (found === -1) return (buckets.at(-2) as Bucket).upper;
  const { upper, count } = buckets[found] as Bucket;
  if (found === 0 && upper <= 0) return upper;
  if (found === 0) return upper * (rank / count);
  const before = buckets[found - 1] as Bucket;
  rank -= before.count;
  return before.upper + (upper - before.upper) * (rank / (count - before.count));
}

function coalesced(sorted: readonly Bucket[]): Bucket[] {
  const result: Bucket[] = [];
  for (const { upper, count } of sorted) {
    const last = result.at(-1);
    if (last?.upper === upper) last.count += count;
    else result.push({ upper, count });
  }
  return result;
}
