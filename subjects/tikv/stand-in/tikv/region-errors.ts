import { toPeerMessage, toRegionMessage, type Peer, type Region, type RegionEpoch } from "./region.ts";

/**
 * `errorpb.Error` as the loader wants it: a message and one member that says what it is. Members and texts are those of
 * tikv/tikv:components/raftstore/src/errors.rs (and store/util.rs for the epoch's).
 */
export type RegionError = Readonly<Record<string, unknown>> & { readonly message: string };

export function notLeader(regionId: number, leader: Peer | undefined): RegionError {
  const text = leader === undefined ? "None" : `Some(id: ${leader.id} store_id: ${leader.storeId})`;
  return {
    message: `peer is not leader for region ${regionId}, leader may ${text}`,
    not_leader: { region_id: String(regionId), leader: leader === undefined ? null : toPeerMessage(leader) },
  };
}

export function regionNotFound(regionId: number): RegionError {
  return { message: `region ${regionId} not found`, region_not_found: { region_id: String(regionId) } };
}

export function regionNotInitialized(regionId: number): RegionError {
  return {
    message: `region ${regionId} not initialized yet`,
    region_not_initialized: { region_id: String(regionId) },
  };
}

export function keyNotInRegion(key: string, region: Region): RegionError {
  const { id, start_key, end_key } = toRegionMessage(region);
  const [asked, start, end] = [Buffer.from(key, "latin1"), start_key, end_key];
  return {
    message: `key ${hex(asked)} is not in region key range [${hex(start)}, ${hex(end)}) for region ${id}`,
    key_not_in_region: { key: asked, region_id: id, start_key, end_key },
  };
}

/** `sent` null = what was sent is not known any more. */
export function epochNotMatch(current: readonly Region[], sent: RegionEpoch | null): RegionError {
  const [region] = current;
  const now = region === undefined ? "" : epochText(region.epoch);
  const asked = sent === null ? "" : epochText(sent);
  return {
    message: `EpochNotMatch current epoch of region ${region?.id ?? 0} is ${now}, but you sent ${asked}`,
    epoch_not_match: { current_regions: current.map(toRegionMessage) },
  };
}

export function storeNotMatch(requested: number, actual: number): RegionError {
  return {
    message: `to store id ${requested}, mine ${actual}`,
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

/** The store has more to do than it can take. */
export function raftstoreIsBusy(): RegionError {
  return {
    message: "Discard due to Full",
    server_is_busy: { reason: "raftstore is busy", backoff_ms: "0" },
  };
}

/** Leadership is on its way to somebody else. */
export function proposalDropped(): RegionError {
  return { message: "Raft raft: proposal dropped" };
}

/** The time that the client gave ran out before anything was done. */
export function deadlineExceeded(): RegionError {
  return {
    message: "Deadline is exceeded",
    server_is_busy: { reason: "deadline is exceeded", backoff_ms: "0" },
  };
}

export function entryTooLarge(regionId: number, bytes: number): RegionError {
  return {
    message: `raft entry is too large, region ${regionId}, entry size ${bytes}`,
    raft_entry_too_large: { region_id: String(regionId), entry_size: String(bytes) },
  };
}

export function readIndexNotReady(regionId: number, reason: string): RegionError {
  return {
    message: `read index not ready, reason ${reason}, region ${regionId}`,
    read_index_not_ready: { reason, region_id: String(regionId) },
  };
}

export function proposalInMergingMode(regionId: number): RegionError {
  return {
    message: `${regionId} peer in merging mode, can't do proposal`,
    proposal_in_merging_mode: { region_id: String(regionId) },
  };
}

export function diskFull(storeIds: readonly number[], reason: string): RegionError {
  return {
    message: `store ids [${storeIds.join(", ")}], errmsg ${reason}`,
    disk_full: { store_id: storeIds.map(String), reason },
  };
}

/** A region that PD's plan is rebuilding takes no writes. */
export function recoveryInProgress(regionId: number): RegionError {
  return {
    message: `region ${regionId} is in the recovery progress`,
    RecoveryInProgress: { region_id: String(regionId) },
  };
}

/** The `status` that `tikv_storage_engine_async_request_total` counts it under (src/server/metrics.rs). */
export function errorStatus(error: RegionError): string {
  return STATUSES.find(([member]) => member in error)?.[1] ?? "err_other";
}

const STATUSES = [
  ["not_leader", "err_not_leader"],
  ["region_not_found", "err_region_not_found"],
  ["key_not_in_region", "err_key_not_in_region"],
  ["epoch_not_match", "err_epoch_not_match"],
  ["server_is_busy", "err_server_is_busy"],
  ["stale_command", "err_stale_command"],
  ["store_not_match", "err_store_not_match"],
  ["raft_entry_too_large", "err_raft_entry_too_large"],
  ["read_index_not_ready", "err_read_index_not_ready"],
  ["proposal_in_merging_mode", "err_proposal_in_merging_mode"],
  ["disk_full", "err_disk_full"],
  ["RecoveryInProgress", "err_recovery_in_progress"],
] as const;

function epochText({ confVer, version }: RegionEpoch): string {
  return `conf_ver: ${confVer} version: ${version}`;
}

function hex(bytes: Buffer): string {
  return bytes.toString("hex").toUpperCase();
}
