import type { Component } from "../../harness/protocol.ts";
import type { Labels, PrometheusClient } from "./kit/clients/prometheus.ts";
import type { DiskView, MetricsView } from "./observation.ts";

/** tikv-facts §4, "Own PromQL", with rates over `range`. */
function queries(range: string) {
  const failures = `sum(rate(tikv_grpc_msg_fail_total[${range}]))`;
  const requests = `sum(rate(tikv_grpc_msg_duration_seconds_count[${range}]))`;
  const buckets = `tikv_grpc_msg_duration_seconds_bucket{type=~"raw_get|raw_put|kv_get|kv_prewrite|kv_commit"}`;
  return {
    p99: `histogram_quantile(0.99, sum by (le, instance) (rate(${buckets}[${range}])))`,
    // A failure counter has no series before the first failure.
    errors: `(${failures} or 0 * ${requests}) / clamp_min(${requests}, 1)`,
    available: 'sum by (instance) (tikv_store_size_bytes{type="available"})',
    capacity: 'sum by (instance) (tikv_store_size_bytes{type="capacity"})',
  };
}

/** Rates are over a minute, times the time factor: what is past must not outlast the clear periods. */
export async function readMetrics(
  prometheus: PrometheusClient,
  { componentOf, timeFactor }: { readonly componentOf: (address: string) => Component; readonly timeFactor: number },
  signal: AbortSignal,
): Promise<MetricsView> {
  const query = queries(`${Math.max(10, Math.round(60 * timeFactor))}s`);
  const vector = async (
    expression: string,
  ): Promise<readonly { readonly labels: Labels; readonly value: number }[]> => {
    const result = await prometheus.instant(expression, signal);
    return result.type === "vector" ? result.series.map(({ labels, point }) => ({ labels, value: point[1] })) : [];
  };
  const [targets, p99, errors, available, capacity] = await Promise.all([
    prometheus.targets(signal),
    vector(query.p99),
    vector(query.errors),
    vector(query.available),
    vector(query.capacity),
  ]);
  const ofInstance = (labels: Labels): Component => componentOf(labels["instance"] ?? "");
  const p99Ms: Record<string, number> = {};
  for (const { labels, value } of p99) if (Number.isFinite(value)) p99Ms[ofInstance(labels)] = value * 1000;
  const free = new Map(available.map(({ labels, value }) => [ofInstance(labels), value]));
  const disk: Record<string, DiskView> = {};
  for (const { labels, value } of capacity) {
    const availableBytes = free.get(ofInstance(labels));
    if (availableBytes !== undefined && value > 0)
      disk[ofInstance(labels)] = { usedShare: 1 - availableBytes / value, availableBytes };
  }
  const ratio = errors[0]?.value;
  return {
    targets: targets
      .filter((target) => target.health !== "unknown")
      .map((target) => ({
        component: ofInstance(target.labels),
        job: target.labels["job"] ?? "",
        up: target.health === "up",
      })),
    p99Ms,
    errorRatio: ratio !== undefined && Number.isFinite(ratio) ? ratio : null,
    disk,
  };
}
