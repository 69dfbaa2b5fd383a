import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { Cluster } from "./cluster.ts";
import { hotPeers, storesOfHot } from "./http/hotspot-routes.ts";
import type { MetricParts } from "./metrics.ts";
import { isLowOnSpace, leaderScore, regionScore } from "./schedule/store-score.ts";
import { FLOWS, HOT_THRESHOLDS } from "./statistics/hot-regions.ts";
import { CHECKS } from "./statistics/region-checks.ts";
import { storeRates } from "./statistics/store-rates.ts";
import type { StoreView } from "./stores.ts";

type Values = Readonly<Record<string, number>>;

export function addStoreMetrics(registry: MetricRegistry, { cluster, leadership }: MetricParts): void {
  const status = registry.gauge("pd_cluster_status", "Status of the cluster.");
  const regions = registry.gauge("pd_regions_status", "Status of the regions.");
  const perStore = registry.gauge("pd_scheduler_store_status", "Store status for schedule");
  const hot = registry.gauge("pd_hotspot_status", "Status of the hotspot.");
  const cache = registry.gauge("pd_hotcache_status", "Status of the hotspot.");
  const limits = registry.gauge("pd_cluster_store_limit", "Status of the store limit.");
  const progress = registry.gauge("pd_cluster_progress", "The current progress of corresponding action");
  const speed = registry.gauge("pd_cluster_speed", "The current speed of corresponding action");
  const eta = registry.gauge("pd_cluster_eta", "The ETA of corresponding action");
  const slow = registry.gauge("pd_scheduler_evicted_slow_store_status", "Store evicted by slow-store scheduler");
  registry.collect(() => {
    for (const gauge of [status, regions, perStore, hot, cache, limits, progress, speed, eta, slow]) gauge.clear();
    for (const [type, count] of Object.entries(regionStatus(cluster, leadership.serving))) regions.set({ type }, count);
    if (!leadership.serving) return;
    const stores = cluster.stores();
    for (const store of stores) {
      const own = { address: store.meta.address, store: String(store.meta.id) };
      const labels = { engine: "tikv", store: own.store };
      for (const [type, value] of Object.entries(clusterStatus(cluster, store))) status.set({ ...labels, type }, value);
      for (const [type, value] of Object.entries(storeStatus(cluster, store))) perStore.set({ ...own, type }, value);
      for (const [type, value] of Object.entries(hotStatus(cluster, store))) hot.set({ ...own, type }, value);
      for (const type of ["add-peer", "remove-peer"] as const)
        if (store.meta.state !== 2) limits.set({ store: own.store, type }, cluster.limitOf(store.meta.id, type));
    }
    for (const { store, name, type, value } of cacheStatus(cluster, stores)) cache.set({ name, store, type }, value);
    for (const one of cluster.removing.all()) {
      const address = stores.find(({ meta }) => meta.id === one.storeId)?.meta.address ?? "";
      const labels = { address, store: String(one.storeId), action: "removing" };
      progress.set(labels, one.progress);
      speed.set(labels, one.speed);
      eta.set(labels, one.leftSeconds);
    }
    for (const id of cluster.state.slowStore.stores) slow.set({ store: String(id), slow_store_type: "disk" }, 1);
  });
}

function regionStatus(cluster: Cluster, serving: boolean): Values {
  const all = cluster.regions.all();
  const counts = Object.entries(CHECKS).map(([kind, check]): [string, number] => [
    `${kind.replace(/-region$/, "")}-region-count`,
    serving ? all.filter((region) => check(region, cluster)).length : 0,
  ]);
  return { ...Object.fromEntries(counts), "witness-leader-region-count": 0 };
}

/** Disconnected, unhealthy and down exclude each other. */
function clusterStatus(cluster: Cluster, store: StoreView): Values {
  const { meta, stateName, stats } = store;
  const is = (yes: boolean) => (yes ? 1 : 0);
  const silent = stateName === "Disconnected";
  return {
    store_up_count: is(stateName === "Up"),
    store_disconnected_count: is(silent && !store.unhealthy),
    store_unhealth_count: is(silent && store.unhealthy),
    store_down_count: is(stateName === "Down"),
    store_slow_count: is(meta.state !== 2 && (stats?.slowScore ?? 0) >= 80),
    store_offline_count: is(meta.state === 1),
    store_tombstone_count: is(meta.state === 2),
    store_low_space_count: is(meta.state !== 2 && isLowOnSpace(store, cluster.schedule, cluster.regions.count)),
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

function storeStatus(cluster: Cluster, store: StoreView): Values {
  const { stats } = store;
  const { write, read } = storeRates(store);
  // Measured over one interval of heartbeats, an average and the latest are the same.
  const rates = {
    store_read_cpu_usage: 0,
    store_read_query_rate: read.query,
    store_read_rate_bytes: read.bytes,
    store_read_rate_keys: read.keys,
    store_regions_write_rate_bytes: write.bytes,
    store_regions_write_rate_keys: write.keys,
    store_write_query_rate: write.query,
    store_write_rate_bytes: write.bytes,
    store_write_rate_keys: write.keys,
  };
  const instant = Object.fromEntries(Object.entries(rates).map(([type, rate]) => [`${type}_instant`, rate]));
  return {
    ...rates,
    ...instant,
    leader_count: store.leaderCount,
    leader_score: leaderScore(store),
    leader_size: store.leaderSize,
    learner_count: store.learnerCount,
    region_count: store.regionCount,
    region_score: regionScore(store, Number(cluster.schedule["low-space-ratio"])),
    region_size: store.regionSize,
    store_available: stats?.available ?? 0,
    store_capacity: stats?.capacity ?? 0,
    store_used: stats?.usedSize ?? 0,
    store_cpu_usage: stats?.cpuUsage ?? 0,
    store_disk_read_rate: 0,
    store_disk_write_rate: 0,
    witness_count: 0,
  };
}

const PAST = { write: "written", read: "read" } as const;

function hotStatus(cluster: Cluster, { meta }: StoreView): Values {
  const values: Record<string, number> = {};
  for (const flow of FLOWS) {
    const hot = hotPeers(cluster, flow);
    for (const as of ["leader", "peer"] as const) {
      const own = hot.filter((each) => storesOfHot(each, as).includes(meta.id));
      const sum = (kind: "bytes" | "keys" | "query") => own.reduce((all, each) => all + each.hot[kind], 0);
      for (const kind of ["bytes", "keys", "query"] as const)
        values[`total_${PAST[flow]}_${kind}_as_${as}`] = sum(kind);
      values[`hot_${flow}_region_as_${as}`] = own.length;
    }
  }
  return values;
}

function cacheStatus(cluster: Cluster, stores: readonly StoreView[]) {
  return stores.flatMap(({ meta }) =>
    FLOWS.flatMap((type) => {
      const hot = hotPeers(cluster, type).filter((each) => storesOfHot(each, "peer").includes(meta.id)).length;
      const { bytes, keys, query } = HOT_THRESHOLDS[type];
      const store = `store-${meta.id}`;
      if (hot === 0 && type === "read") return [];
      return [
        { store, type, name: "total_length", value: hot },
        { store, type, name: "byte-rate-threshold", value: bytes },
        { store, type, name: "key-rate-threshold", value: keys },
        { store, type, name: "query-rate-threshold", value: query },
        { store, type, name: "cpu-rate-threshold", value: 1 },
      ];
    }),
  );
}
