import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { MetricParts } from "./metrics.ts";

/** `pd_config_status{type}`: settings as numbers, under the names that PD gives them there. */
const ITEMS: Readonly<Record<string, string>> = {
  "leader-schedule-limit": "leader-schedule-limit",
  "region-schedule-limit": "region-schedule-limit",
  "merge-schedule-limit": "merge-schedule-limit",
  "replica-schedule-limit": "replica-schedule-limit",
  "hot-region-schedule-limit": "hot-region-schedule-limit",
  "affinity-schedule-limit": "affinity-schedule-limit",
  "split-scatter-schedule-limit": "split-scatter-schedule-limit",
  "max-affinity-merge-region-size": "max-affinity-merge-region-size",
  "hot-region-cache-hits-threshold": "hot-region-cache-hits-threshold",
  "max-pending-peer-count": "max-pending-peer-count",
  "max-snapshot-count": "max-snapshot-count",
  "max-merge-region-size": "max-merge-region-size",
  "max-merge-region-keys": "max-merge-region-keys",
  "low-space-ratio": "low-space-ratio",
  "high-space-ratio": "high-space-ratio",
  "tolerant-size-ratio": "tolerant-size-ratio",
  "enable-make-up-replica": "enable-makeup-replica",
  "enable-remove-down-replica": "enable-remove-down-replica",
  "enable-remove-extra-replica": "enable-remove-extra-replica",
  "enable-replace-offline-replica": "enable-replace-offline-replica",
};
/** MiB and keys: what stores split at (TiKV 8.5's coprocessor settings). */
const STORE_ITEMS = {
  "region-max-size": 384,
  "region-split-size": 256,
  "region-max-keys": 3_840_000,
  "region-split-keys": 2_560_000,
} as const;

export function addConfigMetrics(registry: MetricRegistry, { cluster, leadership }: MetricParts): void {
  const config = registry.gauge("pd_config_status", "Status of the scheduling configurations.");
  const rules = registry.gauge("pd_rule_manager_status", "Status of the rule.");
  registry.collect(() => {
    config.clear();
    rules.clear();
    if (!leadership.serving) return;
    const { schedule, state } = cluster;
    for (const [item, type] of Object.entries(ITEMS)) config.set({ type }, asNumber(schedule[item]));
    for (const [type, value] of Object.entries(STORE_ITEMS)) config.set({ type }, value);
    config.set({ type: "max-replicas" }, Number(state.replication["max-replicas"]));
    rules.set({ type: "rule_count" }, state.rules.length);
    rules.set({ type: "group_count" }, new Set(state.rules.map(({ groupId }) => groupId)).size);
  });
}

function asNumber(value: unknown): number {
  if (value === "true" || value === "false") return value === "true" ? 1 : 0;
  return Number(value);
}
