import type { RegionPeer } from "./region-peer.ts";
import { isJoint, onSameStores, sameEpoch, type Region } from "./region.ts";
import type { Store } from "./store.ts";
import { transferLeader } from "./transfer-leader.ts";

/** Regions travel through the target's log as a whole; what is bigger is not merged (raftstore.raft-entry-max-size). */
const MAX_BYTES = 8 << 20;

/**
 * Why a leader does not begin to merge its region into `target`, or null (tikv/tikv:components/raftstore/src/store/
 * fsm/peer.rs, `check_merge_proposal`).
 */
export function refusedMerge(source: RegionPeer, target: Region, store: Store): string | null {
  const { region, state } = source;
  const here = store.peer(target.id);
  if (region === null || state === null || !source.isLeader) return "peer is not leader";
  if (state.mergingInto !== null) return "in merging mode, can't do proposal";
  if (here?.region?.id !== target.id || here.state?.mergingInto || !sameEpoch(here.region.epoch, target.epoch))
    return `target region not matched, skip proposing: ${target.id}`;
  if (isJoint(region) || isJoint(here.region)) return "region is in joint state, skip merging";
  if (region.endKey !== here.region.startKey && region.startKey !== here.region.endKey)
    return `${region.id} and ${target.id} are not sibling, skip merging`;
  if (region.endKey === here.region.startKey ? region.endKey === "" : region.startKey === "")
    return `${region.id} and ${target.id} are not sibling, skip merging`;
  if (!onSameStores(region, here.region)) return "peers doesn't match, reject merge";
  if (state.values.bytes > MAX_BYTES) return `region ${region.id} is too large, skip merge`;
  if (source.node.members().some(({ behindLog }) => behindLog)) return "log gap is too large, skip merge";
  return null;
}

/**
 * What a prepared merge needs next, looked at on every tick. Where the target leads, it takes the frozen source over
 * with all its pairs. A target that has changed meanwhile without doing so never can: the entry that commits the merge
 * takes effect under the target's epoch of the preparation only, and epochs never come back. Then the source is thawed,
 * but only by a leader whose store has the target and can tell.
 */
export function driveMerge(source: RegionPeer, store: Store): void {
  const { state, region } = source;
  if (state === null || region === null || state.mergingInto === null) return;
  const wanted = state.mergingInto;
  const target = store.peer(wanted.id);
  const now = target?.state ?? null;
  if (target === undefined || now === null) {
    if (source.isLeader)
      transferLeader(
        source,
        region.peers.map(({ id }) => id),
      );
    return;
  }
  const { epoch } = now.region;
  if (sameEpoch(epoch, wanted.epoch)) {
    if (target.isLeader)
      target.merge(() => ({ kind: "commit-merge", epoch: wanted.epoch, source: region, pairs: state.pairs() }));
    return;
  }
  const isBeyond = epoch.confVer > wanted.epoch.confVer || epoch.version > wanted.epoch.version;
  if (isBeyond && !now.absorbed.has(source.id) && source.isLeader)
    source.merge(() => ({ kind: "rollback-merge", epoch: region.epoch }));
}
