import { availableParallelism, totalmem } from "node:os";
import type { EpochMs } from "../../../../harness/base/clock.ts";
import { addProcessMetrics } from "../../../common/metrics/process-metrics.ts";
import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { Cluster } from "./cluster.ts";
import type { Consensus } from "./consensus.ts";
import { CHECKS } from "./http/region-routes.ts";
import { PD_VERSION } from "./http/render.ts";
import type { Leadership } from "./leadership.ts";
import { addEtcdMetrics } from "./metrics-etcd.ts";
import type { Coordinator } from "./schedule/coordinator.ts";
import type { StoreView } from "./stores.ts";

export interface MetricParts {
  readonly cluster: Cluster;
  readonly consensus: Consensus;
  readonly leadership: Leadership;
  readonly coordinator: Coordinator;
}

/** PD moves the physical part of its timestamps on this often (`tso-update-physical-interval`). */
const TSO_STEP_MS = 50;

/** PD's and etcd's metrics. Only the leader fills what is about cluster, stores and regions. */
export function addPdMetrics(registry: MetricRegistry, parts: MetricParts, startedAt: EpochMs): void {
  addProcessMetrics(registry, startedAt);
  const info = registry.gauge(
    "pd_server_info",
    "Indicate the pd server info, and the value is the start timestamp (s).",
  );
  info.set({ version: PD_VERSION, hash: "None" }, startedAt / 1_000);
  addMachine(registry);
  addEtcdMetrics(registry, parts);
  addMembers(registry, parts);
  addStores(registry, parts);
}

function addMachine(registry: MetricRegistry): void {
  registry.gauge("pd_service_maxprocs", "The value of GOMAXPROCS.").set({}, availableParallelism());
  registry.gauge("pd_service_memory_quota_bytes", "The value of memory quota bytes.").set({}, totalmem());
  const busy = registry.gauge("go_goroutines", "Number of goroutines that currently exist.");
  registry.collect(() => busy.set({}, process.getActiveResourcesInfo().length));
}

function addMembers(registry: MetricRegistry, { cluster, consensus, leadership, coordinator }: MetricParts): void {
  const role = registry.gauge("service_member_role", "The leader/primary of the service.");
  const health = registry.gauge("pd_cluster_health_status", "Status of the cluster.");
  const scheduler = registry.gauge("pd_scheduler_status", "Inner status of the scheduler.");
  const allowance = registry.gauge("pd_scheduling_allowance_status", "Status of the scheduling allowance.");
  const tsoGap = registry.gauge("pd_cluster_tso_gap_millionseconds", "The minimal (non-zero) TSO gap for each DC.");
  registry.collect(() => {
    role.set({ service: "PD" }, leadership.serving ? 1 : 0);
    for (const gauge of [health, scheduler, tsoGap]) gauge.clear();
    allowance.set({ kind: "halt-scheduling" }, coordinator.halted ? 1 : 0);
    tsoGap.set({ dc: "global", group: "group" }, leadership.serving ? TSO_STEP_MS : 0);
    if (!leadership.serving) return;
    const alive = consensus.connectedPeers();
    for (const { name } of cluster.state.members)
      health.set({ name }, alive.includes(name) || name === cluster.state.leader ? 1 : 0);
    const names = [...cluster.state.schedulers, ...cluster.state.storeSchedulers.map((each) => each.name)];
    for (const kind of names)
      scheduler.set({ kind, type: "allow" }, coordinator.halted || coordinator.isPaused(kind) ? 0 : 1);
  });
}

function addStores(registry: MetricRegistry, { cluster, leadership }: MetricParts): void {
  const status = registry.gauge("pd_cluster_status", "Status of the cluster.");
  const regions = registry.gauge("pd_regions_status", "Status of the regions.");
  const perStore = registry.gauge("pd_scheduler_store_status", "Store status for schedule");
  registry.collect(() => {
    for (const gauge of [status, regions, perStore]) gauge.clear();
    const all = cluster.regions.all();
    for (const [kind, check] of Object.entries(CHECKS)) {
      const type = `${kind.replace(/-region$/, "")}-region-count`;
      regions.set({ type }, leadership.serving ? all.filter((region) => check(region, cluster)).length : 0);
    }
    if (!leadership.serving) return;
    for (const store of cluster.stores()) {
      const labels = { engine: "tikv", store: String(store.meta.id) };
      for (const [type, value] of Object.entries(clusterStatus(store))) status.set({ ...labels, type }, value);
      const own = { address: store.meta.address, store: String(store.meta.id) };
      for (const [type, value] of Object.entries(storeStatus(store))) perStore.set({ ...own, type }, value);
    }
  });
}

/** Disconnected, unhealthy and down exclude each other. */
function clusterStatus(store: StoreView): Record<string, number> {
  const { meta, stateName, stats } = store;
  const is = (yes: boolean) => (yes ? 1 : 0);
  const silent = stateName === "Disconnected";
  return {
    store_up_count: is(stateName === "Up"),
    store_disconnected_count: is(silent && !store.unhealthy),
    store_unhealth_count: is(silent && store.unhealthy),
    store_down_count: is(stateName === "Down"),
    store_slow_count: is((stats?.slowScore ?? 0) >= 80),
    store_offline_count: is(meta.state === 1),
    store_tombstone_count: is(meta.state === 2),
    store_low_space_count: is(isLowOnSpace(store)),
    store_preparing_count: is(meta.nodeState === 0),
    store_serving_count: is(meta.nodeState === 1),
    store_removing_count: is(meta.nodeState === 2),
    store_removed_count: is(meta.nodeState === 3),
    storage_size: stats?.usedSize ?? 0,
    storage_capacity: stats?.capacity ?? 0,
    region_count: store.regionCount,
    leader_count: store.leaderCount,
    learner_count: store.learnerCount,
    witness_count: 0,
  };
}

function isLowOnSpace({ stats }: StoreView): boolean {
  if (stats === null || stats.capacity === 0) return false;
  // With few regions a store with more than 8 GiB free is never low (pkg/core/store.go).
  return stats.available < 8 * 2 ** 30 && stats.available < stats.capacity * 0.2;
}

function storeStatus({ stats, meta, ...store }: StoreView): Record<string, number> {
  return {
    leader_count: store.leaderCount,
    leader_score: store.leaderCount / Math.max(meta.leaderWeight, 1e-6),
    leader_size: store.leaderSize,
    learner_count: store.learnerCount,
    region_count: store.regionCount,
    region_score: store.regionSize / Math.max(meta.regionWeight, 1e-6),
    region_size: store.regionSize,
    store_available: stats?.available ?? 0,
    store_capacity: stats?.capacity ?? 0,
    store_used: stats?.usedSize ?? 0,
    store_cpu_usage: 0,
    store_write_rate_bytes: rate(stats?.bytesWritten, stats?.intervalMs),
    store_read_rate_bytes: rate(stats?.bytesRead, stats?.intervalMs),
  };
}

function rate(bytes = 0, intervalMs = 0): number {
  return intervalMs > 0 ? (bytes * 1_000) / intervalMs : 0;
}
