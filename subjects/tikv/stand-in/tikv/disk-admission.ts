import type { DiskUsage } from "./disk-usage.ts";

/** What a leader knows about the disks that a proposal would be written to. */
export interface DiskOfPeer {
  readonly storeId: number;
  readonly usage: DiskUsage;
  readonly voter: boolean;
}

/**
 * The stores because of whose disks a proposal is refused; empty = it may be proposed. A full follower does no harm as
 * long as a majority of voters has room (tikv/tikv:components/raftstore/src/store/peer.rs,
 * `check_normal_proposal_with_disk_full_opt`).
 *
 * @param allowedOnAlmostFull deletions and what an administrator asks for (split)
 */
export function fullStores(
  own: DiskUsage,
  ownStoreId: number,
  members: readonly DiskOfPeer[],
  allowedOnAlmostFull: boolean,
): readonly number[] {
  if (own === "AlreadyFull" || (own === "AlmostFull" && !allowedOnAlmostFull)) return [ownStoreId];
  const full = members.filter(({ usage }) => usage !== "Normal");
  if (full.length === 0 || hasRoom(members)) return [];
  if (allowedOnAlmostFull && full.some(({ usage }) => usage === "AlmostFull")) return [];
  return full.map(({ storeId }) => storeId);
}

/** Whether a majority of voters has room. */
function hasRoom(members: readonly DiskOfPeer[]): boolean {
  const voters = members.filter(({ voter }) => voter);
  return voters.filter(({ usage }) => usage === "Normal").length > voters.length / 2;
}
