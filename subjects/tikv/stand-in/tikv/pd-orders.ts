import { errorText } from "../../../../harness/base/errors.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import type { NodeLog } from "../node-log.ts";
import { CHANGE_TYPES, type PeerChange } from "./change-peers.ts";
import type { ChangePeerMessage, RegionHeartbeatReply } from "./pd-messages.ts";
import { refusedMerge } from "./region-merge.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { RegionSplitter } from "./region-splitter.ts";
import { fromPeerMessage, fromRegionMessage, type PeerMessage, type RegionMessage } from "./region.ts";
import type { Store } from "./store.ts";
import { transferLeader } from "./transfer-leader.ts";

export interface PdOrdersOptions {
  readonly store: Store;
  readonly splitter: RegionSplitter;
  readonly log: NodeLog;
  readonly messages: Counter;
}

/** pdpb.CheckPolicy */
const USEKEY = 2;

/**
 * Does what PD asks of regions in its replies to their heartbeats (tikv/tikv:components/raftstore/src/store/worker/
 * pd.rs, `schedule_heartbeat_receiver`). Every order names the epoch that it was made for; PD makes it again if need be.
 */
export class PdOrders {
  readonly #options: PdOrdersOptions;

  constructor(options: PdOrdersOptions) {
    this.#options = options;
  }

  obey(reply: RegionHeartbeatReply): void {
    const { store, log, messages } = this.#options;
    const error = reply.header?.error ?? null;
    if (error !== null && error.type !== 0)
      return log.error("pd.rs:2010", "region heartbeat was refused", { err: error.message });
    const peer = store.peer(Number(reply.region_id));
    const { change_peer, change_peer_v2, transfer_leader, split_region, merge } = reply;
    const changes = change_peer === null ? change_peer_v2?.changes : [change_peer];
    if (changes !== undefined) {
      messages.inc({ type: "change peer" });
      if (this.#stillMeant(peer, reply, { version: false })) this.#changePeers(peer, changes);
    } else if (transfer_leader !== null) {
      messages.inc({ type: "transfer leader" });
      if (peer?.isLeader === true) this.#transfer(peer, transfer_leader);
    } else if (split_region !== null) {
      messages.inc({ type: "split region" });
      if (this.#stillMeant(peer, reply, { version: true })) this.#split(peer, split_region);
    } else if (merge !== null) {
      messages.inc({ type: "merge" });
      if (merge.target !== null && this.#stillMeant(peer, reply, { version: true })) this.#merge(peer, merge.target);
    } else messages.inc({ type: "noop" });
  }

  /** Changes of peers look at conf_ver alone, as when they are applied. */
  #stillMeant(
    peer: RegionPeer | undefined,
    { region_epoch, target_peer }: RegionHeartbeatReply,
    look: { readonly version: boolean },
  ): peer is RegionPeer {
    const epoch = peer?.region?.epoch;
    if (peer === undefined || epoch === undefined || region_epoch === null || !peer.isLeader) return false;
    if (target_peer !== null && Number(target_peer.id) !== peer.peerId) return false;
    if (look.version && Number(region_epoch.version) !== epoch.version) return false;
    return Number(region_epoch.conf_ver) === epoch.confVer;
  }

  #changePeers(peer: RegionPeer, asked: readonly ChangePeerMessage[]): void {
    const changes = asked.flatMap(({ peer: target, change_type }): PeerChange[] => {
      const type = CHANGE_TYPES[change_type];
      return target === null || type === undefined ? [] : [{ type, peer: fromPeerMessage(target) }];
    });
    const fields = {
      region_id: peer.id,
      changes: changes.map(({ type, peer: { id, storeId } }) => `${type} id: ${id} store_id: ${storeId}`).join(),
    };
    this.#options.log.info("pd.rs:1130", "try to change peer", fields);
    const err = peer.changePeers(changes);
    if (err !== null) this.#options.log.warn("peer.rs:4500", "failed to propose confchange", { ...fields, err });
  }

  /** To the one named; of several, to whoever is furthest. */
  #transfer(
    peer: RegionPeer,
    { peer: single, peers }: { readonly peer: PeerMessage | null; readonly peers: readonly PeerMessage[] },
  ): void {
    const wanted = peers.length > 0 ? peers : single === null ? [] : [single];
    const fields = { region_id: peer.id, from_peer: peer.peerId, to_peer: wanted.map(({ id }) => id).join() };
    this.#options.log.info("pd.rs:1150", "try to transfer leader", fields);
    const refused = transferLeader(
      peer,
      wanted.map(({ id }) => Number(id)),
    );
    if (refused !== null)
      this.#options.log.info("peer.rs:4402", "reject transfer leader", { ...fields, reason: refused });
    this.#options.store.wake(peer.id);
  }

  #split(peer: RegionPeer, { policy, keys }: { readonly policy: number; readonly keys: readonly Buffer[] }): void {
    const { log, splitter } = this.#options;
    log.info("pd.rs:1170", "try to split", { region_id: peer.id, policy });
    const done =
      policy === USEKEY
        ? splitter.splitAt(
            peer,
            keys.map((key) => key.toString("latin1")),
            "ADMIN",
          )
        : splitter.splitInHalf(peer);
    done.catch((error: unknown) => {
      log.warn("pd.rs:900", "failed to split region", { region_id: peer.id, err: errorText(error) });
    });
  }

  #merge(peer: RegionPeer, message: RegionMessage): void {
    const { log, store } = this.#options;
    const target = fromRegionMessage(message);
    const fields = { region_id: peer.id, target_region_id: target.id };
    log.info("pd.rs:1190", "try to merge", fields);
    const err = refusedMerge(peer, target, store);
    if (err !== null) return log.warn("peer.rs:4600", "failed to propose merge", { ...fields, err });
    const { region } = peer;
    if (region !== null) peer.merge(() => ({ kind: "prepare-merge", epoch: region.epoch, target }));
  }
}
