import type { EpochMs } from "../../../harness/base/clock.ts";
import { addProcessMetrics } from "../metrics/process-metrics.ts";
import { MetricRegistry } from "../metrics/registry.ts";
import type { Storage } from "./storage.ts";

/** How often samples went before their time. */
export interface SweepCounts {
  bySize: number;
}

export interface OwnMetricsDeps {
  readonly version: string;
  readonly startedAt: EpochMs;
  readonly storage: Storage;
  readonly swept: SweepCounts;
  readonly maxBytes: number;
}

/** The text of the server's own `/metrics`, under the real one's names where it has them. */
export function ownMetrics({ version, startedAt, storage, swept, maxBytes }: OwnMetricsDeps): () => string {
  const registry = new MetricRegistry();
  addProcessMetrics(registry, startedAt);
  const series = registry.gauge("prometheus_tsdb_head_series", "Total number of series in the head block.");
  const chunks = registry.gauge("prometheus_tsdb_head_chunks", "Total number of chunks in the head block.");
  const samples = registry.gauge("prometheus_tsdb_head_samples", "Samples that are kept.");
  const bytes = registry.gauge("prometheus_tsdb_head_bytes", "What series and samples take of memory, estimated.");
  const limit = registry.gauge("prometheus_tsdb_retention_limit_bytes", "Max number of bytes to be retained.");
  const bySize = registry.total(
    "prometheus_tsdb_size_retentions_total",
    "The number of times that samples were deleted because the maximum number of bytes was exceeded.",
  );
  const build = registry.gauge("prometheus_build_info", "A metric with a constant '1' value labeled by version.");
  registry.collect(() => {
    series.set({}, storage.seriesCount);
    chunks.set({}, storage.chunkCount);
    samples.set({}, storage.sampleCount);
    bytes.set({}, storage.byteSize);
    limit.set({}, maxBytes);
    bySize.set({}, swept.bySize);
    build.set({ version }, 1);
  });
  return () => registry.text();
}
