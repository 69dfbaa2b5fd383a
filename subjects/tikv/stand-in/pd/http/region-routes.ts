import { PdRefusal } from "../cluster.ts";
import type { Cluster } from "../cluster.ts";
import type { Region } from "../regions.ts";
import type { HttpParts } from "./parts.ts";
import { renderRegion, renderRegions } from "./render.ts";
import { json, numberParam, objectBody, octets, text, type RouteRequest, type Routes } from "./reply.ts";

const DEFAULT_LIMIT = 16;
/** MiB; an empty region is reported as at most this big. */
const EMPTY_MIB = 1;

export function regionRoutes(parts: HttpParts): Routes {
  const { cluster } = parts;
  const { regions } = cluster;
  const top = (value: (region: Region) => number) => (request: RouteRequest) =>
    octets(
      renderRegions(
        [...regions.all()]
          .sort((a, b) => value(b) - value(a))
          .slice(0, Number(request.query.get("limit") ?? DEFAULT_LIMIT)),
      ),
    );
  return {
    "GET /pd/api/v1/region/id/{id}": ({ params }) => octets(renderRegion(regions.get(numberParam(params["id"] ?? "")))),
    "GET /pd/api/v1/region/key/{key}": ({ params, query }) =>
      octets(renderRegion(regions.at(keyHex(params["key"] ?? "", query)))),
    "GET /pd/api/v1/regions": () => octets(renderRegions(regions.all())),
    "GET /pd/api/v1/regions/count": () => json({ count: regions.count, regions: null }),
    "GET /pd/api/v1/regions/key": ({ query }) =>
      octets(
        renderRegions(
          regions.scan(
            keyHex(query.get("key") ?? "", query),
            keyHex(query.get("end_key") ?? "", query),
            Number(query.get("limit") ?? DEFAULT_LIMIT),
          ),
        ),
      ),
    "GET /pd/api/v1/regions/store/{id}": ({ params, query }) =>
      octets(renderRegions(ofStore(regions.all(), numberParam(params["id"] ?? ""), query.get("type") ?? "all"))),
    "GET /pd/api/v1/regions/sibling/{id}": ({ params }) => siblings(cluster, numberParam(params["id"] ?? "")),
    "GET /pd/api/v1/regions/writeflow": top(({ writtenBytes }) => writtenBytes),
    "GET /pd/api/v1/regions/readflow": top(({ readBytes }) => readBytes),
    "GET /pd/api/v1/regions/size": top(({ approximateSize }) => approximateSize),
    "GET /pd/api/v1/regions/keys": top(({ approximateKeys }) => approximateKeys),
    "GET /pd/api/v1/regions/check/{kind}": ({ params }) => {
      const check = Object.hasOwn(CHECKS, params["kind"] ?? "") ? CHECKS[params["kind"] ?? ""] : undefined;
      if (check === undefined) return text("404 page not found\n", 404);
      return octets(renderRegions(regions.all().filter((region) => check(region, cluster))));
    },
    "GET /pd/api/v1/regions/range-holes": () => json(holes(regions.all())),
    "GET /pd/api/v1/stats/region": ({ query }) => json(stats(inRange(cluster, query), query.has("count"))),
    "POST /pd/api/v1/regions/split": ({ body }) => split(parts, objectBody(body)),
    "POST /pd/api/v1/regions/scatter": () => json({ "processed-percentage": 100 }),
  };
}

/** What each class of `/regions/check` and of `pd_regions_status` counts. */
export const CHECKS: Readonly<Record<string, (region: Region, cluster: Cluster) => boolean>> = {
  "miss-peer": ({ peers }, { state }) => peers.length < Number(state.replication["max-replicas"]),
  "extra-peer": ({ peers }, { state }) => peers.length > Number(state.replication["max-replicas"]),
  "down-peer": ({ downPeers }) => downPeers.length > 0,
  "pending-peer": ({ pendingPeers }) => pendingPeers.length > 0,
  "offline-peer": ({ peers }, { state }) =>
    peers.some(({ storeId }) => state.stores.some((store) => store.id === storeId && store.nodeState === 2)),
  "learner-peer": ({ peers }) => peers.some(({ role }) => role === 1),
  "empty-region": ({ approximateSize }) => approximateSize <= EMPTY_MIB,
  "oversized-region": ({ approximateSize }) => approximateSize > 384,
  "undersized-region": ({ approximateSize, approximateKeys }, { state: { schedule } }) =>
    approximateSize < Number(schedule["max-merge-region-size"]) &&
    approximateKeys < Number(schedule["max-merge-region-keys"]),
};

function keyHex(key: string, query: URLSearchParams): string {
  return query.get("format") === "hex" ? key.toLowerCase() : Buffer.from(key, "utf8").toString("hex");
}

function ofStore(regions: readonly Region[], id: number, type: string): Region[] {
  const has = (peers: Region["peers"]) => peers.some(({ storeId }) => storeId === id);
  return regions.filter((region) => {
    const leads = region.leader?.storeId === id;
    const learns = has(region.peers.filter(({ role }) => role === 1));
    if (type === "leader") return leads;
    if (type === "learner") return learns;
    if (type === "follower") return has(region.peers) && !leads && !learns;
    if (type === "pending") return has(region.pendingPeers);
    return type === "witness" ? false : has(region.peers);
  });
}

function siblings({ regions }: Cluster, id: number) {
  const region = regions.get(id);
  if (region === undefined) throw new PdRefusal(404, `[PD:region:ErrRegionNotFound]region ${id} not found`);
  const all = regions.all();
  const at = all.indexOf(region);
  return octets(renderRegions([all[at - 1], all[at + 1]].filter((each) => each !== undefined)));
}

function holes(regions: readonly Region[]): [string, string][] {
  const found: [string, string][] = [];
  let end = "";
  for (const [at, region] of regions.entries()) {
    if (region.startKey !== end) found.push([end.toUpperCase(), region.startKey.toUpperCase()]);
    end = region.endKey;
    if (at === regions.length - 1 && end !== "") found.push([end.toUpperCase(), ""]);
  }
  return found;
}

function inRange({ regions }: Cluster, query: URLSearchParams): readonly Region[] {
  return regions.scan(keyHex(query.get("start_key") ?? "", query), keyHex(query.get("end_key") ?? "", query), 0);
}

function stats(regions: readonly Region[], countOnly: boolean): Record<string, unknown> {
  const sum = (value: (region: Region) => number) => regions.reduce((all, region) => all + value(region), 0);
  const none = {
    store_leader_count: null,
    store_peer_count: null,
    store_leader_size: null,
    store_leader_keys: null,
    store_peer_size: null,
    store_peer_keys: null,
  };
  const count = regions.length;
  if (countOnly) return { count, empty_count: 0, storage_size: 0, user_storage_size: 0, storage_keys: 0, ...none };
  const by = (stores: (region: Region) => readonly number[], value: (region: Region) => number) => {
    const sums: Record<string, number> = {};
    for (const region of regions) for (const store of stores(region)) sums[store] = (sums[store] ?? 0) + value(region);
    return sums;
  };
  const leader = ({ leader: peer }: Region) => (peer === null ? [] : [peer.storeId]);
  const peers = (region: Region) => region.peers.map(({ storeId }) => storeId);
  const [one, size, keys] = [() => 1, (r: Region) => r.approximateSize, (r: Region) => r.approximateKeys];
  return {
    count,
    empty_count: regions.filter(({ approximateSize }) => approximateSize <= EMPTY_MIB).length,
    storage_size: sum(size),
    user_storage_size: 0,
    storage_keys: sum(keys),
    store_leader_count: by(leader, one),
    store_peer_count: by(peers, one),
    store_leader_size: by(leader, size),
    store_leader_keys: by(leader, keys),
    store_peer_size: by(peers, size),
    store_peer_keys: by(peers, keys),
  };
}

/** Answers when it has been asked for, not when it is done: the percentage says how many regions took it. */
function split({ cluster, coordinator }: HttpParts, body: Record<string, unknown>) {
  const keys = body["split_keys"];
  if (!Array.isArray(keys)) throw new PdRefusal(400, "split_keys should be provided.");
  const byRegion = Map.groupBy(
    keys.map((key) => String(key).toLowerCase()),
    (key) => cluster.regions.at(key),
  );
  let taken = 0;
  for (const [region, own] of byRegion) {
    const steps = [{ kind: "split", policy: "USEKEY", keys: own.sort() }] as const;
    if (
      region !== undefined &&
      coordinator.start(region, { desc: "admin-split-region", kinds: ["admin", "split"], steps })
    )
      taken++;
  }
  return json({
    "processed-percentage": byRegion.size === 0 ? 100 : Math.floor((taken * 100) / byRegion.size),
    "regions-id": [...byRegion.keys()].flatMap((region) => region?.id ?? []),
  });
}
