import { PdRefusal, type Cluster } from "../cluster.ts";
import type { HttpParts } from "./parts.ts";
import { json, objectBody, text, type Routes } from "./reply.ts";

const RATES = [
  "bytes-write",
  "bytes-read",
  "keys-write",
  "keys-read",
  "query-write",
  "query-read",
  "cpu-read",
] as const;

/** Hot spots are never found here: no store of ours reports flow per region that would make one. */
export function otherRoutes({ cluster }: HttpParts): Routes {
  return {
    "GET /pd/api/v1/hotspot/regions/write": () => json(hotRegions(cluster)),
    "GET /pd/api/v1/hotspot/regions/read": () => json(hotRegions(cluster)),
    "GET /pd/api/v1/hotspot/stores": () => json(hotStores(cluster)),
    "GET /pd/api/v1/hotspot/buckets": () => json({}),
    "GET /pd/api/v1/min-resolved-ts": () =>
      json({ is_real_time: true, min_resolved_ts: 0, persist_interval: "1s", stores_min_resolved_ts: null }),
    "GET /pd/api/v1/replication_mode/status": () =>
      json({ mode: "majority", "dr-auto-sync": { label_key: "", state: "", acid_consistent: false } }),
    "GET /pd/api/v1/metric/query": () => text("metric storage doesn't set\n", 500),
    "GET /pd/api/v1/metric/query_range": () => text("metric storage doesn't set\n", 500),
    "GET /pd/api/v1/admin/unsafe/remove-failed-stores/show": () => json([{ info: "No on-going recovery." }]),
    "POST /pd/api/v1/admin/unsafe/remove-failed-stores": ({ body }) => {
      const stores = objectBody(body)["stores"];
      const strange = (Array.isArray(stores) ? stores : []).find((id) =>
        cluster.state.stores.every((s) => s.id !== id),
      );
      const why =
        strange === undefined ? "no store specified or the store is connected" : `store ${strange} doesn't exist`;
      throw new PdRefusal(500, `[PD:unsaferecovery:ErrUnsafeRecoveryInvalidInput]invalid input ${why}`);
    },
  };
}

function hotRegions(cluster: Cluster): unknown {
  const zero = {
    store_bytes: 0,
    store_keys: 0,
    store_query: 0,
    store_cpu: 0,
    total_flow_bytes: 0,
    total_flow_keys: 0,
    total_flow_query: 0,
    total_flow_cpu: 0,
    regions_count: 0,
    statistics: [],
  };
  const all = Object.fromEntries(cluster.stores().map(({ meta: { id } }) => [String(id), zero]));
  return { as_peer: all, as_leader: all };
}

function hotStores(cluster: Cluster): unknown {
  const stores = cluster.stores();
  const rate = (kind: string) => (store: (typeof stores)[number]) => {
    const { stats } = store;
    const seconds = (stats?.intervalMs ?? 0) / 1_000;
    const values: Record<string, number | undefined> = {
      "bytes-write": stats?.bytesWritten,
      "bytes-read": stats?.bytesRead,
      "keys-write": stats?.keysWritten,
      "keys-read": stats?.keysRead,
    };
    return [String(store.meta.id), seconds > 0 ? (values[kind] ?? 0) / seconds : 0];
  };
  return Object.fromEntries(RATES.map((kind) => [`${kind}-rate`, Object.fromEntries(stores.map(rate(kind)))]));
}
