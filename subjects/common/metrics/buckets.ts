/** Seconds, as most server histograms use them: 0.5 ms doubling up to 16 s. */
export const DEFAULT_BUCKETS: readonly number[] = exponentialBuckets(0.0005, 2, 16);

/** What Prometheus' client libraries use when nothing is said (tikv/rust-prometheus:src/histogram.rs). */
export const LIBRARY_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `count` boundaries from `start` on, each `factor` times the one before. */
export function exponentialBuckets(start: number, factor: number, count: number): readonly number[] {
  const edges: number[] = [];
  for (let edge = start; edges.length < count; edge *= factor) edges.push(edge);
  return edges;
}

/** Index of the first boundary that is not below `value`; `buckets.length` when there is none. */
export function bucketOf(buckets: readonly number[], value: number): number {
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= (buckets[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}
