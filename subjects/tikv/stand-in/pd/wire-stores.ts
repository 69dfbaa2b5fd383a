import type { StoreStats } from "./stores.ts";
import type { StoreMeta } from "./state.ts";

/** metapb.Store as the loader gives it. */
export interface WireStore {
  readonly id: string;
  readonly address: string;
  readonly state: number;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  readonly version: string;
  readonly peer_address: string;
  readonly status_address: string;
  readonly git_hash: string;
  readonly start_timestamp: string;
  readonly deploy_path: string;
}

/** pdpb.StoreStats as the loader gives it. */
export interface WireStats {
  readonly store_id: string;
  readonly capacity: string;
  readonly available: string;
  readonly used_size: string;
  readonly sending_snap_count: number;
  readonly receiving_snap_count: number;
  readonly is_busy: boolean;
  readonly start_time: number;
  readonly slow_score: string;
  readonly is_stopping: boolean;
  readonly bytes_written: string;
  readonly bytes_read: string;
  readonly keys_written: string;
  readonly keys_read: string;
  readonly interval: { readonly start_timestamp: string; readonly end_timestamp: string } | null;
  readonly query_stats: WireQueryStats | null;
  readonly cpu_usages: readonly { readonly value: string }[];
  readonly peer_stats: readonly {
    readonly region_id: string;
    readonly read_bytes: string;
    readonly read_keys: string;
    readonly query_stats: WireQueryStats | null;
  }[];
}

/** pdpb.QueryStats as the loader gives it. */
export interface WireQueryStats {
  readonly Get: string;
  readonly Scan: string;
  readonly Coprocessor: string;
  readonly Put: string;
  readonly Delete: string;
  readonly DeleteRange: string;
}

export function writeQueries(stats: WireQueryStats | null): number {
  return stats === null ? 0 : Number(stats.Put) + Number(stats.Delete) + Number(stats.DeleteRange);
}

export function readQueries(stats: WireQueryStats | null): number {
  return stats === null ? 0 : Number(stats.Get) + Number(stats.Scan) + Number(stats.Coprocessor);
}

/** What a store says of itself, on top of what PD decides about it. */
export function storeFromWire(wire: WireStore, known: StoreMeta | null, nowMs: number): StoreMeta {
  const labels = known === null || wire.labels.length > 0 ? wire.labels : known.labels;
  return {
    id: Number(wire.id),
    address: wire.address,
    statusAddress: wire.status_address,
    peerAddress: wire.peer_address,
    version: wire.version,
    gitHash: wire.git_hash,
    deployPath: wire.deploy_path,
    startTimestamp: Number(wire.start_timestamp),
    labels: labels.map(({ key, value }) => ({ key, value })),
    state: known?.state ?? 0,
    nodeState: known?.nodeState ?? 1,
    physicallyDestroyed: known?.physicallyDestroyed ?? false,
    lastHeartbeatMs: known?.lastHeartbeatMs ?? nowMs,
    leaderWeight: known?.leaderWeight ?? 1,
    regionWeight: known?.regionWeight ?? 1,
    limit: known?.limit ?? { "add-peer": 15, "remove-peer": 15 },
  };
}

export function storeToWire(meta: StoreMeta, lastHeartbeatMs: number): Record<string, unknown> {
  return {
    id: String(meta.id),
    address: meta.address,
    state: meta.state,
    labels: meta.labels,
    version: meta.version,
    peer_address: meta.peerAddress,
    status_address: meta.statusAddress,
    git_hash: meta.gitHash,
    start_timestamp: String(meta.startTimestamp),
    deploy_path: meta.deployPath,
    last_heartbeat: `${lastHeartbeatMs}000000`,
    physically_destroyed: meta.physicallyDestroyed,
    node_state: meta.nodeState,
  };
}

export function statsFromWire(wire: WireStats): StoreStats {
  const { interval } = wire;
  return {
    capacity: Number(wire.capacity),
    available: Number(wire.available),
    usedSize: Number(wire.used_size),
    sendingSnapCount: wire.sending_snap_count,
    receivingSnapCount: wire.receiving_snap_count,
    isBusy: wire.is_busy,
    slowScore: Number(wire.slow_score),
    isStopping: wire.is_stopping,
    startTime: wire.start_time,
    intervalMs: interval === null ? 0 : (Number(interval.end_timestamp) - Number(interval.start_timestamp)) * 1_000,
    bytesWritten: Number(wire.bytes_written),
    bytesRead: Number(wire.bytes_read),
    keysWritten: Number(wire.keys_written),
    keysRead: Number(wire.keys_read),
    queriesWritten: writeQueries(wire.query_stats),
    queriesRead: readQueries(wire.query_stats),
    cpuUsage: wire.cpu_usages.reduce((sum, { value }) => sum + Number(value), 0),
    reads: wire.peer_stats.map((each) => ({
      regionId: Number(each.region_id),
      bytes: Number(each.read_bytes),
      keys: Number(each.read_keys),
      query: readQueries(each.query_stats),
    })),
  };
}

/** What a store has last reported, as far as it is kept. Null: nothing to this leader. */
export function statsToWire(storeId: number, stats: StoreStats | null): Record<string, unknown> | null {
  if (stats === null) return null;
  return {
    store_id: String(storeId),
    capacity: String(stats.capacity),
    available: String(stats.available),
    used_size: String(stats.usedSize),
    sending_snap_count: stats.sendingSnapCount,
    receiving_snap_count: stats.receivingSnapCount,
    start_time: stats.startTime,
    is_busy: stats.isBusy,
    bytes_written: String(stats.bytesWritten),
    keys_written: String(stats.keysWritten),
    bytes_read: String(stats.bytesRead),
    keys_read: String(stats.keysRead),
    slow_score: String(stats.slowScore),
    is_stopping: stats.isStopping,
  };
}
