import type { Cluster } from "../cluster.ts";
import { timeText } from "../go-text.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { Region } from "../regions.ts";
import type { Flow, HotRegion } from "../statistics/hot-regions.ts";
import { storeRates } from "../statistics/store-rates.ts";
import type { StoreView } from "../stores.ts";
import type { HttpParts } from "./parts.ts";
import { json, type Routes } from "./reply.ts";

export function hotspotRoutes({ cluster }: HttpParts): Routes {
  return {
    "GET /pd/api/v1/hotspot/regions/write": ({ query }) => json(hotRegions(cluster, "write", query)),
    "GET /pd/api/v1/hotspot/regions/read": ({ query }) => json(hotRegions(cluster, "read", query)),
    "GET /pd/api/v1/hotspot/stores": () => json(hotStores(cluster)),
    "GET /pd/api/v1/hotspot/buckets": () => json({}),
  };
}

/** A hot region's figures with the region as it is now: its leader may have moved since. */
export interface HotPeer {
  readonly hot: HotRegion;
  readonly region: Region;
  readonly flow: Flow;
}

export function hotPeers(cluster: Cluster, flow: Flow): HotPeer[] {
  const degree = Number(cluster.schedule["hot-region-cache-hits-threshold"]);
  return cluster.hot.hot(flow, degree).flatMap((hot) => {
    const region = cluster.regions.get(hot.regionId);
    return region === undefined ? [] : [{ hot, region, flow }];
  });
}

/** Every replica is written to; only leaders are read. */
export function storesOfHot({ region, flow }: HotPeer, as: "leader" | "peer"): number[] {
  if (as === "peer" && flow === "write") return region.peers.map(({ storeId }) => storeId);
  return region.leader === null ? [] : [region.leader.storeId];
}

/** @throws PdRefusal 400, 404 */
function hotRegions(cluster: Cluster, flow: Flow, query: URLSearchParams): object {
  const wanted = query.getAll("store_id").map((id) => {
    if (!/^\d+$/.test(id)) throw new PdRefusal(400, `invalid store id: ${id}`);
    return cluster.store(Number(id)).meta.id;
  });
  const stores = cluster.stores().filter(({ meta }) => wanted.length === 0 || wanted.includes(meta.id));
  const hot = hotPeers(cluster, flow);
  const as = (role: "leader" | "peer") =>
    Object.fromEntries(
      stores.map((store) => {
        const own = hot.filter((each) => storesOfHot(each, role).includes(store.meta.id));
        return [String(store.meta.id), ofStore(store, flow, own)];
      }),
    );
  return { as_peer: as("peer"), as_leader: as("leader") };
}

function ofStore(store: StoreView, flow: Flow, hot: readonly HotPeer[]): object {
  const rates = storeRates(store)[flow];
  const sum = (of: (hot: HotRegion) => number) => hot.reduce((all, each) => all + of(each.hot), 0);
  return {
    store_bytes: rates.bytes,
    store_keys: rates.keys,
    store_query: rates.query,
    store_cpu: 0,
    total_flow_bytes: sum(({ bytes }) => bytes),
    total_flow_keys: sum(({ keys }) => keys),
    total_flow_query: sum(({ query }) => query),
    total_flow_cpu: 0,
    regions_count: hot.length,
    statistics: hot.map(({ hot: one, region }) => ({
      store_id: store.meta.id,
      stores: region.peers.map(({ storeId }) => storeId),
      is_leader: region.leader?.storeId === store.meta.id,
      is_learner: region.peers.some(({ storeId, role }) => storeId === store.meta.id && role === 1),
      region_id: region.id,
      hot_degree: one.degree,
      flow_bytes: one.bytes,
      flow_keys: one.keys,
      flow_query: one.query,
      flow_cpu: 0,
      anti_count: one.antiCount,
      last_update_time: timeText(one.updatedAtMs),
    })),
  };
}

function hotStores(cluster: Cluster): object {
  const all = cluster.stores().map((store) => ({ id: String(store.meta.id), ...storeRates(store) }));
  const by = (rate: (store: (typeof all)[number]) => number) =>
    Object.fromEntries(all.map((store) => [store.id, rate(store)]));
  return {
    "bytes-write-rate": by(({ write }) => write.bytes),
    "bytes-read-rate": by(({ read }) => read.bytes),
    "keys-write-rate": by(({ write }) => write.keys),
    "keys-read-rate": by(({ read }) => read.keys),
    "query-write-rate": by(({ write }) => write.query),
    "query-read-rate": by(({ read }) => read.query),
    "cpu-read-rate": by(() => 0),
  };
}
