import { peerToWire, regionToWire, type Region, type WirePeer } from "../regions.ts";
import { ROLE, type PeerRef, type Step } from "./step.ts";

const ADD_NODE = 0;
const REMOVE_NODE = 1;
const ADD_LEARNER = 2;
const POLICIES = { SCAN: 0, APPROXIMATE: 1, USEKEY: 2 } as const;

/**
 * `pdpb.RegionHeartbeatResponse` without its header, for the store that leads the region. Every change of peers goes
 * as `change_peer_v2`: one change is a plain one, several enter the joint state, none leaves it.
 *
 * @returns null when there is nothing to ask for: a peer that is there already only has to catch up.
 */
export function stepMessage(region: Region, step: Step): Record<string, unknown> | null {
  const order = orderOf(region, step);
  if (order === null) return null;
  return {
    region_id: String(region.id),
    region_epoch: { conf_ver: String(region.confVer), version: String(region.version) },
    ...(region.leader === null ? {} : { target_peer: peerToWire(region.leader) }),
    ...order,
  };
}

function orderOf(region: Region, step: Step): Record<string, unknown> | null {
  const there = (storeId: number) => region.peers.find((peer) => peer.storeId === storeId);
  switch (step.kind) {
    case "transfer-leader": {
      const target = there(step.to);
      const peers = step.anyOf.flatMap((storeId) => there(storeId) ?? []).map(peerToWire);
      return target === undefined ? null : { transfer_leader: { peer: peerToWire(target), peers } };
    }
    case "add-learner":
      return there(step.storeId) === undefined ? changes(addLearner(step)) : null;
    case "promote-learner":
      return changes(promote(step));
    case "remove-peer": {
      const peer = there(step.storeId);
      return peer === undefined ? null : changes({ peer: peerToWire(peer), change_type: REMOVE_NODE });
    }
    case "enter-joint":
      return changes(...step.promote.map(promote), ...step.demote.map(addLearner));
    case "leave-joint":
      return changes();
    case "merge":
      return step.passive ? null : { merge: { target: regionToWire(step.target) } };
    case "split":
      return { split_region: { policy: POLICIES[step.policy], keys: step.keys.map((key) => Buffer.from(key, "hex")) } };
  }
}

interface Change {
  readonly peer: WirePeer;
  readonly change_type: number;
}

function changes(...all: readonly Change[]): Record<string, unknown> {
  return { change_peer_v2: { changes: all } };
}

function promote(ref: PeerRef): Change {
  return { peer: wire(ref, ROLE.voter), change_type: ADD_NODE };
}

function addLearner(ref: PeerRef): Change {
  return { peer: wire(ref, ROLE.learner), change_type: ADD_LEARNER };
}

function wire({ storeId, peerId }: PeerRef, role: number): WirePeer {
  return { id: String(peerId), store_id: String(storeId), role };
}
