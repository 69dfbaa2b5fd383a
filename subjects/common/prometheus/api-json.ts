import { isoTime } from "../../../harness/base/clock.ts";
import { formatDuration } from "./duration.ts";
import type { RangeResult } from "./query.ts";
import type { TargetStatus } from "./scraper.ts";
import type { Value } from "./promql/value.ts";
import { formatSample } from "./go-format.ts";
import { sortedLabels } from "./labels.ts";

/** Seconds as Prometheus writes them: with three digits when there is a fraction, which is no form of JavaScript's. */
function jsonTime(timeMs: number): unknown {
  return timeMs % 1_000 === 0 ? timeMs / 1_000 : rawJson((timeMs / 1_000).toFixed(3));
}

/** In V8 since 11.4; not yet among TypeScript's types. */
const rawJson = (text: string): unknown => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);

/** The `data` of `/api/v1/query`. */
export function instantData(value: Value, atMs: number): object {
  const point = (timeMs: number, sample: number) => [jsonTime(timeMs), formatSample(sample)];
  switch (value.type) {
    case "scalar":
      return { resultType: "scalar", result: point(atMs, value.value) };
    case "string":
      return { resultType: "string", result: [jsonTime(atMs), value.value] };
    case "vector": {
      const result = value.samples.map(({ labels, value: sample }) => ({
        metric: sortedLabels(labels),
        value: point(atMs, sample),
      }));
      return { resultType: "vector", result };
    }
    case "matrix": {
      const result = value.series.map(({ labels, times, values }) => ({
        metric: sortedLabels(labels),
        values: Array.from(times, (timeMs, index) => point(timeMs, values[index] as number)),
      }));
      return { resultType: "matrix", result };
    }
  }
}

/** The `data` of `/api/v1/query_range`. */
export function rangeData(results: readonly RangeResult[]): object {
  const result = results.map(({ labels, points }) => ({
    metric: sortedLabels(labels),
    values: points.map(([timeMs, value]) => [jsonTime(timeMs), formatSample(value)]),
  }));
  return { resultType: "matrix", result };
}

/** The `data` of `/api/v1/targets`. */
export function targetsData(statuses: readonly TargetStatus[]): object {
  const pools = [...new Set(statuses.map(({ target }) => target.pool))];
  return {
    activeTargets: statuses.map(({ target, health, lastError, lastScrape, lastDurationSeconds }) => ({
      discoveredLabels: target.discoveredLabels,
      labels: target.labels,
      scrapePool: target.pool,
      scrapeUrl: target.url,
      globalUrl: target.url,
      lastError,
      lastScrape: lastScrape === null ? "0001-01-01T00:00:00Z" : isoTime(lastScrape),
      lastScrapeDuration: lastDurationSeconds,
      health,
      scrapeInterval: formatDuration(target.intervalMs),
      scrapeTimeout: formatDuration(target.timeoutMs),
    })),
    droppedTargets: [],
    droppedTargetCounts: Object.fromEntries(pools.map((pool) => [pool, 0])),
  };
}
