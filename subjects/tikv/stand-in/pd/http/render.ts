import { durationText, sizeText, timeText } from "../go-text.ts";
import type { Peer, Region } from "../regions.ts";
import { leaderScore, regionScore } from "../schedule/store-score.ts";
import type { StoreView } from "../stores.ts";
import type { MemberMeta } from "../state.ts";

export const PD_VERSION = "v8.5.7";

type Json = Record<string, unknown>;

/** Zero values are left out, as Go's `omitempty` does. */
function filled(all: Json): Json {
  return Object.fromEntries(
    Object.entries(all).filter(
      ([, value]) => value !== 0 && value !== "" && value !== false && value !== undefined && !isEmptyList(value),
    ),
  );
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

export function renderStore(view: StoreView, lowSpaceRatio: number): Json {
  const { meta, stats, lastHeartbeatMs } = view;
  const startS = stats?.startTime || meta.startTimestamp;
  return {
    store: {
      ...filled({
        id: meta.id,
        address: meta.address,
        state: meta.state,
        labels: meta.labels,
        version: meta.version,
        peer_address: meta.peerAddress,
        status_address: meta.statusAddress,
        git_hash: meta.gitHash,
        start_timestamp: meta.startTimestamp,
        deploy_path: meta.deployPath,
        last_heartbeat: BigInt(lastHeartbeatMs) * 1_000_000n,
        physically_destroyed: meta.physicallyDestroyed,
        node_state: meta.nodeState,
      }),
      state_name: view.stateName,
    },
    status: {
      capacity: sizeText(stats?.capacity ?? 0),
      available: sizeText(stats?.available ?? 0),
      used_size: sizeText(stats?.usedSize ?? 0),
      leader_count: view.leaderCount,
      leader_weight: meta.leaderWeight,
      leader_score: leaderScore(view),
      leader_size: view.leaderSize,
      region_count: view.regionCount,
      region_weight: meta.regionWeight,
      region_score: regionScore(view, lowSpaceRatio),
      region_size: view.regionSize,
      ...filled({
        learner_count: view.learnerCount,
        pending_peer_count: view.pendingPeerCount,
        slow_score: stats?.slowScore ?? 0,
        sending_snap_count: stats?.sendingSnapCount ?? 0,
        receiving_snap_count: stats?.receivingSnapCount ?? 0,
        is_busy: stats?.isBusy ?? false,
      }),
      start_ts: timeText(startS * 1_000),
      last_heartbeat_ts: timeText(lastHeartbeatMs),
      uptime: durationText(Math.max(0, lastHeartbeatMs - startS * 1_000)),
    },
  };
}

export function renderTrendStore(view: StoreView): Json {
  const { meta, stats, lastHeartbeatMs } = view;
  const startMs = (stats?.startTime || meta.startTimestamp) * 1_000;
  return {
    id: meta.id,
    address: meta.address,
    state_name: view.stateName,
    capacity: stats?.capacity ?? 0,
    available: stats?.available ?? 0,
    region_count: view.regionCount,
    leader_count: view.leaderCount,
    start_ts: timeText(startMs),
    last_heartbeat_ts: timeText(lastHeartbeatMs),
    uptime: durationText(Math.max(0, lastHeartbeatMs - startMs)),
  };
}

const ROLES = ["Voter", "Learner", "IncomingVoter", "DemotingVoter"];

function renderPeer(peer: Peer): Json {
  return {
    role_name: ROLES[peer.role] ?? "Voter",
    ...filled({ is_learner: peer.role === 1, id: peer.id, store_id: peer.storeId, role: peer.role }),
  };
}

/** An unknown region is answered as one with id 0. */
export function renderRegion(region: Region | undefined): Json {
  if (region === undefined)
    return { id: 0, start_key: "", end_key: "", leader: { role_name: "" }, ...renderFlow(undefined) };
  return {
    id: region.id,
    start_key: region.startKey.toUpperCase(),
    end_key: region.endKey.toUpperCase(),
    epoch: { conf_ver: region.confVer, version: region.version },
    peers: region.peers.map(renderPeer),
    leader: region.leader === null ? { role_name: "" } : renderPeer(region.leader),
    ...filled({
      down_peers: region.downPeers.map(({ peer, downSeconds }) => ({
        down_seconds: downSeconds,
        peer: renderPeer(peer),
      })),
      pending_peers: region.pendingPeers.map(renderPeer),
    }),
    ...renderFlow(region),
  };
}

function renderFlow(region: Region | undefined): Json {
  return {
    cpu_usage: region?.cpuUsage ?? 0,
    written_bytes: region?.writtenBytes ?? 0,
    read_bytes: region?.readBytes ?? 0,
    written_keys: region?.writtenKeys ?? 0,
    read_keys: region?.readKeys ?? 0,
    approximate_size: region?.approximateSize ?? 0,
    approximate_keys: region?.approximateKeys ?? 0,
    ...filled({ approximate_kv_size: region?.approximateKvSize ?? 0 }),
  };
}

export function renderRegions(regions: readonly Region[]): Json {
  return { count: regions.length, regions: regions.map(renderRegion) };
}

/** As GET /leader has it. */
export function renderLeader(member: MemberMeta): Json {
  return {
    name: member.name,
    member_id: BigInt(member.id),
    peer_urls: member.peerUrls,
    client_urls: member.clientUrls,
    ...filled({ leader_priority: member.leaderPriority }),
  };
}

/** As GET /members has it. */
export function renderMember(member: MemberMeta): Json {
  const { leader_priority, ...rest } = renderLeader(member);
  return {
    ...rest,
    ...filled({ leader_priority }),
    deploy_path: "/",
    binary_version: PD_VERSION,
    git_hash: "None",
  };
}
