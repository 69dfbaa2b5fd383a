import {
  epochNotMatch,
  keyNotInRegion,
  mismatchPeerId,
  regionNotFound,
  regionNotInitialized,
  staleCommand,
  storeNotMatch,
  type RegionError,
} from "./region-errors.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { RequestContext } from "./raw-request.ts";
import type { RegionState } from "./region-state.ts";
import { regionHolds, type Region } from "./region.ts";
import type { Store } from "./store.ts";

/** Where a request may be done. */
export interface Ready {
  readonly peer: RegionPeer;
  readonly state: RegionState;
  readonly region: Region;
}

export type Checked = Ready | { readonly error: RegionError };

/** `at` keys: inside the region; `around`: its end as well, where a scan may begin. */
export interface WantedKeys {
  readonly at: readonly string[];
  readonly around?: readonly string[];
}

/**
 * Whether this store may do what the context says, in the order in which TiKV looks
 * (tikv/tikv:components/raftstore/src/store/fsm/peer.rs, `pre_propose_raft_command`; store/util.rs).
 */
export function checkRequest(
  store: Store,
  context: RequestContext | null,
  keys: WantedKeys,
  needsLeader: boolean,
): Checked {
  const storeId = Number(context?.peer?.store_id ?? 0);
  if (storeId !== store.storeId) return { error: storeNotMatch(storeId, store.storeId) };
  const regionId = Number(context?.region_id ?? 0);
  const peer = store.peer(regionId);
  if (peer === undefined) return { error: regionNotFound(regionId) };
  if (needsLeader && !peer.isLeader) return { error: peer.notLeader() };
  const peerId = Number(context?.peer?.id ?? 0);
  if (peerId !== peer.peerId) return { error: mismatchPeerId(peerId, peer.peerId) };
  const { state } = peer;
  if (state === null) return { error: regionNotInitialized(regionId) };
  const term = Number(context?.term ?? 0);
  if (term !== 0 && term + 1 < peer.node.roleState.term) return { error: staleCommand() };
  const { region } = state;
  const epoch = context?.region_epoch ?? null;
  if (epoch === null) return { error: { message: "missing epoch!" } };
  const sent = { confVer: Number(epoch.conf_ver), version: Number(epoch.version) };
  if (sent.version !== region.epoch.version) return { error: epochNotMatch(store.around(region, sent.version), sent) };
  const outside =
    keys.at.find((key) => !regionHolds(region, key)) ??
    keys.around?.find((key) => !regionHolds(region, key) && key !== region.endKey);
  if (outside !== undefined) return { error: keyNotInRegion(outside, region) };
  return { peer, state, region };
}
