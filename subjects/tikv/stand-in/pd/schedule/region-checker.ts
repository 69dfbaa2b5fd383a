import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import type { Plan, Step } from "./operator.ts";

export interface CheckInput {
  readonly region: Region;
  readonly stores: ReadonlyMap<number, StoreView>;
  readonly maxReplicas: number;
  /** Null when no id is at hand: then nothing is added this time. */
  newPeerId(): number | null;
}

/**
 * What one region needs to be as the rules ask, or null: enough replicas, none too many, none on a store that is to go
 * or is down for good. Pure but for the id that it may take.
 */
export function checkRegion(input: CheckInput): Plan | null {
  const { region, stores, maxReplicas } = input;
  if (region.leader === null) return null;
  const peers = region.peers;
  if (peers.length < maxReplicas) {
    const added = addPeer(input);
    return added === null ? null : { desc: "add-rule-peer", kinds: ["replica", "region"], steps: [added] };
  }
  const leaving = peers.filter(({ storeId }) => isGoing(stores.get(storeId)));
  const dead = region.downPeers.filter(({ peer }) => stores.get(peer.storeId)?.stateName === "Down");
  if (peers.length > maxReplicas) return removeExtra(input);
  const replaced = leaving[0] ?? dead[0]?.peer;
  if (replaced === undefined) return null;
  const added = addPeer(input);
  if (added === null) return null;
  const desc = leaving.length > 0 ? "replace-rule-offline-peer" : "replace-rule-down-peer";
  return { desc, kinds: ["replica", "region"], steps: [added, ...removal(input, replaced.storeId)] };
}

function isGoing(store: StoreView | undefined): boolean {
  return store === undefined || store.meta.state !== 0;
}

function addPeer({ region, stores, newPeerId }: CheckInput): Step | null {
  const target = [...stores.values()]
    .filter(({ meta, stateName }) => stateName === "Up" && region.peers.every((peer) => peer.storeId !== meta.id))
    .sort((a, b) => a.regionCount - b.regionCount || a.meta.id - b.meta.id)[0];
  const peerId = target === undefined ? null : newPeerId();
  return target === undefined || peerId === null ? null : { kind: "add-peer", storeId: target.meta.id, peerId };
}

/** Drops the peer that is missed least: going, then silent, then behind, then the one on the fullest store. */
function removeExtra(input: CheckInput): Plan | null {
  const { region, stores } = input;
  const badness = (storeId: number) => {
    const store = stores.get(storeId);
    if (isGoing(store)) return 4;
    if (store?.stateName === "Down" || region.downPeers.some(({ peer }) => peer.storeId === storeId)) return 3;
    if (store?.stateName === "Disconnected") return 2;
    return region.pendingPeers.some((peer) => peer.storeId === storeId) ? 1 : 0;
  };
  const worst = [...region.peers]
    .filter(({ storeId }) => badness(storeId) > 0 || storeId !== region.leader?.storeId)
    .sort(
      (a, b) =>
        badness(b.storeId) - badness(a.storeId) ||
        (stores.get(b.storeId)?.regionCount ?? 0) - (stores.get(a.storeId)?.regionCount ?? 0),
    )[0];
  if (worst === undefined) return null;
  return { desc: "remove-extra-replica", kinds: ["replica", "region"], steps: removal(input, worst.storeId) };
}

/** The leader hands over before its peer is removed. */
function removal({ region, stores }: CheckInput, storeId: number): Step[] {
  const remove: Step = { kind: "remove-peer", storeId };
  if (region.leader?.storeId !== storeId) return [remove];
  const to = region.peers.find((peer) => peer.storeId !== storeId && stores.get(peer.storeId)?.stateName === "Up");
  return to === undefined ? [] : [{ kind: "transfer-leader", from: storeId, to: to.storeId }, remove];
}
