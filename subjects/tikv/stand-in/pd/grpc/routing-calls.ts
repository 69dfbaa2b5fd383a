import type { Cluster } from "../cluster.ts";
import { peerToWire, regionToWire, type Region } from "../regions.ts";
import { statsToWire, storeToWire } from "../wire-stores.ts";
import { ERROR, HeaderError, type Calls, type GrpcParts, type Methods } from "./calls.ts";

interface KeyRange {
  readonly start_key: Buffer;
  readonly end_key: Buffer;
}

/** Where keys are: members, regions and stores, as clients ask for them. */
export function routingCalls(calls: Calls, { cluster, leadership }: GrpcParts): Methods {
  const { regions } = cluster;
  const at = (key: Buffer) => regions.at(key.toString("hex"));
  return {
    GetClusterInfo: calls.open(() => ({ service_modes: [1], tso_urls: [] })),
    GetMembers: calls.open(() => members({ cluster, leadership })),
    GetRegion: calls.copied((request: { region_key: Buffer }) => answer(at(request.region_key))),
    GetPrevRegion: calls.copied((request: { region_key: Buffer }) => {
      const region = at(request.region_key);
      // The first one has none before it.
      return answer(region === undefined || region.startKey === "" ? undefined : before(cluster, region));
    }),
    GetRegionByID: calls.copied((request: { region_id: string }) => answer(regions.get(Number(request.region_id)))),
    ScanRegions: calls.copied((request: KeyRange & { limit: number }) => {
      const found = regions.scan(request.start_key.toString("hex"), request.end_key.toString("hex"), request.limit);
      return {
        region_metas: found.map(regionToWire),
        leaders: found.map(({ leader }) => (leader === null ? {} : peerToWire(leader))),
        regions: found.map(answer),
      };
    }),
    BatchScanRegions: calls.copied(
      (request: { ranges: readonly KeyRange[]; limit: number; contain_all_key_range: boolean }) => ({
        regions: batchScan(cluster, request).map(answer),
      }),
    ),
    GetStore: calls.leader((request: { store_id: string }) => {
      const store = cluster.stores().find(({ meta }) => meta.id === Number(request.store_id));
      if (store === undefined) throw new HeaderError(ERROR.UNKNOWN, `invalid store ID ${request.store_id}, not found`);
      const { meta, lastHeartbeatMs, stats } = store;
      return { store: storeToWire(meta, lastHeartbeatMs), stats: statsToWire(meta.id, stats) };
    }),
    GetAllStores: calls.leader((request: { exclude_tombstone_stores: boolean }) => ({
      stores: cluster
        .stores()
        .filter(({ meta }) => !request.exclude_tombstone_stores || meta.state !== 2)
        .map(({ meta, lastHeartbeatMs }) => storeToWire(meta, lastHeartbeatMs)),
    })),
    GetClusterConfig: calls.leader(() => ({
      cluster: { id: cluster.state.clusterId, max_peer_count: Number(cluster.state.replication["max-replicas"]) },
    })),
  };
}

function members({ leadership, cluster }: Pick<GrpcParts, "leadership" | "cluster">) {
  const wire = (member: (typeof cluster.state.members)[number]) => ({
    name: member.name,
    member_id: member.id,
    peer_urls: member.peerUrls,
    client_urls: member.clientUrls,
  });
  const leader = leadership.leader;
  return {
    members: cluster.state.members.map(wire),
    ...(leader === null ? {} : { leader: wire(leader), etcd_leader: wire(leader) }),
  };
}

function before({ regions }: Cluster, region: Region): Region | undefined {
  const all = regions.all();
  return all[all.indexOf(region) - 1];
}

/** As tikv/pd:pkg/core/region.go, `BatchScanRegions`: in order, each region once, never more than `limit`. */
function batchScan(
  { regions }: Cluster,
  request: { readonly ranges: readonly KeyRange[]; readonly limit: number; readonly contain_all_key_range: boolean },
): Region[] {
  const found = new Map<number, Region>();
  for (const range of request.ranges) {
    const [start, end] = [range.start_key.toString("hex"), range.end_key.toString("hex")];
    const left = request.limit > 0 ? request.limit - found.size : 0;
    if (request.limit > 0 && left <= 0) break;
    const own = regions.scan(start, end, left);
    if (request.contain_all_key_range && !isWhole(own, start, end, left))
      throw new HeaderError(ERROR.REGIONS_NOT_CONTAIN_ALL_KEY_RANGE, "found a hole region in the given key ranges");
    for (const region of own) found.set(region.id, region);
  }
  return [...found.values()];
}

/** Without a hole, and to the end unless the limit cut it off. */
function isWhole(found: readonly Region[], start: string, end: string, limit: number): boolean {
  let reached = start;
  for (const { startKey, endKey } of found) {
    if (startKey > reached) return false;
    if (endKey === "") return true;
    reached = endKey;
  }
  return (limit > 0 && found.length >= limit) || (end !== "" && reached >= end);
}

function answer(region: Region | undefined) {
  if (region === undefined) return {};
  return {
    region: regionToWire(region),
    ...(region.leader === null ? {} : { leader: peerToWire(region.leader) }),
    down_peers: region.downPeers.map(({ peer, downSeconds }) => ({
      peer: peerToWire(peer),
      down_seconds: String(downSeconds),
    })),
    pending_peers: region.pendingPeers.map(peerToWire),
  };
}
