import { parseDuration } from "./go-text.ts";
import type { Region } from "./regions.ts";
import type { ClusterState, StoreMeta } from "./state.ts";
import type { RegionReads } from "./statistics/hot-regions.ts";

/** PD's own bound (pkg/core/store.go); never configurable. */
const DISCONNECTED_AFTER_MS = 20_000;
const UNHEALTHY_AFTER_MS = 600_000;
/** Heartbeats are persisted at most this often (pkg/core/store.go, storePersistInterval). */
export const PERSIST_HEARTBEAT_MS = 300_000;

/** What a store last reported. In memory of the leader. */
export interface StoreStats {
  readonly capacity: number;
  readonly available: number;
  readonly usedSize: number;
  readonly sendingSnapCount: number;
  readonly receivingSnapCount: number;
  readonly isBusy: boolean;
  readonly slowScore: number;
  readonly isStopping: boolean;
  /** s */
  readonly startTime: number;
  readonly intervalMs: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  readonly keysWritten: number;
  readonly keysRead: number;
  readonly queriesWritten: number;
  readonly queriesRead: number;
  /** Share of one core, in percent, of all its threads. */
  readonly cpuUsage: number;
  /** Regions that are read much. */
  readonly reads: readonly RegionReads[];
}

export type StoreStateName = "Up" | "Offline" | "Tombstone" | "Disconnected" | "Down";

/** A store as seen now: what is agreed on, what it reported, and what regions say about it. */
export interface StoreView {
  readonly meta: StoreMeta;
  readonly stats: StoreStats | null;
  readonly lastHeartbeatMs: number;
  readonly stateName: StoreStateName;
  /** Silent for more than 10 min (metrics only). */
  readonly unhealthy: boolean;
  readonly leaderCount: number;
  readonly leaderSize: number;
  readonly regionCount: number;
  readonly regionSize: number;
  /** Regions that are reported with no size at all: to schedulers each is 1 MiB. */
  readonly emptyCount: number;
  readonly learnerCount: number;
  readonly pendingPeerCount: number;
}

export interface HeardStore {
  readonly atMs: number;
  readonly stats: StoreStats;
}

/** Every store there is, Tombstones too, in order of id. */
export function viewStores(
  state: ClusterState,
  heard: ReadonlyMap<number, HeardStore>,
  regions: readonly Region[],
  nowMs: number,
  timeFactor: number,
): StoreView[] {
  const downAfter = (parseDuration(String(state.schedule["max-store-down-time"])) ?? 1_800_000) * timeFactor;
  const counts = countByStore(regions);
  return [...state.stores]
    .sort((a, b) => a.id - b.id)
    .map((meta) => {
      const lastHeartbeatMs = heard.get(meta.id)?.atMs ?? meta.lastHeartbeatMs;
      const silentMs = nowMs - lastHeartbeatMs;
      return {
        meta,
        stats: heard.get(meta.id)?.stats ?? null,
        lastHeartbeatMs,
        stateName: nameOf(meta, silentMs, timeFactor, downAfter),
        unhealthy: silentMs > UNHEALTHY_AFTER_MS * timeFactor,
        ...(counts.get(meta.id) ?? NOTHING),
      };
    });
}

function nameOf(meta: StoreMeta, silentMs: number, timeFactor: number, downAfterMs: number): StoreStateName {
  if (meta.state === 1) return "Offline";
  if (meta.state === 2) return "Tombstone";
  if (silentMs > downAfterMs) return "Down";
  return silentMs > DISCONNECTED_AFTER_MS * timeFactor ? "Disconnected" : "Up";
}

const NOTHING = {
  leaderCount: 0,
  leaderSize: 0,
  regionCount: 0,
  regionSize: 0,
  emptyCount: 0,
  learnerCount: 0,
  pendingPeerCount: 0,
};

function countByStore(regions: readonly Region[]): Map<number, typeof NOTHING> {
  const counts = new Map<number, typeof NOTHING>();
  const of = (storeId: number) => {
    const found = counts.get(storeId) ?? { ...NOTHING };
    counts.set(storeId, found);
    return found;
  };
  for (const region of regions) {
    for (const peer of region.peers) {
      const count = of(peer.storeId);
      count.regionCount++;
      count.regionSize += region.approximateSize;
      if (region.approximateSize === 0) count.emptyCount++;
      if (peer.role === 1) count.learnerCount++;
    }
    for (const peer of region.pendingPeers) of(peer.storeId).pendingPeerCount++;
    if (region.leader === null) continue;
    const count = of(region.leader.storeId);
    count.leaderCount++;
    count.leaderSize += region.approximateSize;
  }
  return counts;
}
