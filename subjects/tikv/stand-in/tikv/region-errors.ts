import { toPeerMessage, toRegionMessage, type Peer, type Region } from "./region.ts";

/** `errorpb.Error` as the loader wants it: a message and one member that says what it is. */
export type RegionError = Readonly<Record<string, unknown>> & { readonly message: string };

export function notLeader(regionId: number, leader: Peer | undefined): RegionError {
  return {
    message: leader
      ? `peer is not leader for region ${regionId}, leader may Some(${leader.id})`
      : `region ${regionId} has no leader`,
    not_leader: { region_id: String(regionId), leader: leader === undefined ? null : toPeerMessage(leader) },
  };
}

export function regionNotFound(regionId: number): RegionError {
  return { message: `region ${regionId} not found`, region_not_found: { region_id: String(regionId) } };
}

export function keyNotInRegion(key: string, region: Region): RegionError {
  const { id, start_key, end_key } = toRegionMessage(region);
  return {
    message: `key not in region ${id}`,
    key_not_in_region: { key: Buffer.from(key, "latin1"), region_id: id, start_key, end_key },
  };
}

export function epochNotMatch(current: readonly Region[]): RegionError {
  return {
    message: `current epoch of region ${current[0]?.id ?? 0} does not match`,
    epoch_not_match: { current_regions: current.map(toRegionMessage) },
  };
}

export function storeNotMatch(requested: number, actual: number): RegionError {
  return {
    message: `store not match, request store id is ${requested}, but actual store id is ${actual}`,
    store_not_match: { request_store_id: String(requested), actual_store_id: String(actual) },
  };
}

export function mismatchPeerId(requested: number, actual: number): RegionError {
  return {
    message: `mismatch peer id ${requested} != ${actual}`,
    mismatch_peer_id: { request_peer_id: String(requested), store_peer_id: String(actual) },
  };
}

export function staleCommand(): RegionError {
  return { message: "stale command", stale_command: {} };
}

export function serverIsBusy(reason: string): RegionError {
  return { message: reason, server_is_busy: { reason, backoff_ms: "0" } };
}

export function entryTooLarge(regionId: number, bytes: number): RegionError {
  return {
    message: `raft entry is too large, region ${regionId}, entry size ${bytes}`,
    raft_entry_too_large: { region_id: String(regionId), entry_size: String(bytes) },
  };
}

export function diskFull(storeIds: readonly number[], reason: string): RegionError {
  return { message: reason, disk_full: { store_id: storeIds.map(String), reason } };
}

/** The `status` that `tikv_storage_engine_async_request_total` counts it under. */
export function errorStatus(error: RegionError): string {
  const kinds: Readonly<Record<string, string>> = {
    not_leader: "err_not_leader",
    region_not_found: "err_region_not_found",
    key_not_in_region: "err_key_not_in_region",
    epoch_not_match: "err_epoch_not_match",
    server_is_busy: "err_server_is_busy",
    stale_command: "err_stale_command",
    store_not_match: "err_store_not_match",
    raft_entry_too_large: "err_raft_entry_too_large",
    disk_full: "err_disk_full",
    mismatch_peer_id: "err_mismatch_peer_id",
  };
  return Object.entries(kinds).find(([member]) => member in error)?.[1] ?? "err_other";
}
