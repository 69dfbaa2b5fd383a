import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { Random } from "../../../../harness/base/random.ts";
import type { BidiCall } from "../../../common/link/node-grpc-client.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import type { NodeLog } from "../node-log.ts";
import { CHANGE_TYPES } from "./change-peers.ts";
import type { ChangePeerMessage, RegionHeartbeatReply } from "./pd-messages.ts";
import type { PdSession } from "./pd-session.ts";
import type { RegionPeer } from "./region-peer.ts";
import { fromPeerMessage, toPeerMessage, toRegionMessage, type Region } from "./region.ts";
import type { Store } from "./store.ts";

export interface PdWorkerOptions {
  readonly session: PdSession;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly random: Random;
  readonly timeFactor: number;
  /** It has data from another life. */
  readonly hasPast: boolean;
  readonly heartbeatMessages: Counter;
  /** `pdpb.StoreStats` but for the interval. */
  stats(): Readonly<Record<string, unknown>>;
  /** Splits are asked for by PD with keys, or without: then in the middle. */
  split(peer: RegionPeer, keys: readonly string[]): Promise<void>;
}

const STORE_HEARTBEAT_MS = 10_000;
/** Stores find a new PD leader one after the other (recorded: all were back 1.0 to 2.5 s after it answered). */
const FIND_LEADER_MS = 2_500;
const REGION_HEARTBEAT_MS = 60_000;
const RECONNECT_MS = 100;
/** raftstore.max-peer-down-duration */
const PEER_DOWN_MS = 600_000;

/** Keeps PD informed about a store and the regions that it leads, and does what PD asks for. */
export class PdWorker implements AsyncDisposable {
  readonly #options: PdWorkerOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  #stream: BidiCall<object, RegionHeartbeatReply> | null = null;
  #streamAbort = new AbortController();
  #wakeStoreHeartbeat: () => void = () => {};
  readonly #due = new Set<RegionPeer>();
  #scheduled = false;
  #intervalStart: number;

  constructor(options: PdWorkerOptions) {
    this.#options = options;
    this.#intervalStart = Math.floor(options.clock.now() / 1000);
    options.session.onLeader(() => {
      this.#streamAbort.abort();
      const late = options.random.int(FIND_LEADER_MS) * options.timeFactor;
      options.clock.sleep(late, this.#stop.signal).then(
        () => this.#wakeStoreHeartbeat(),
        () => {},
      );
    });
    this.#running = Promise.all([this.#storeHeartbeats(), this.#regionStream(), this.#regionHeartbeats()]);
  }

  /** Heartbeats that are due and not sent yet. */
  get pending(): number {
    return this.#due.size;
  }

  /** Sends this region's heartbeat before anything else happens in the next turn of the loop. */
  report(peer: RegionPeer): void {
    this.#due.add(peer);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const due of this.#due) this.#heartbeat(due);
      this.#due.clear();
    });
  }

  /** Splits are reported at once, so that clients find the new regions. */
  async reportSplit(regions: readonly Region[]): Promise<void> {
    const request = { regions: regions.map(toRegionMessage) };
    await this.#options.session.call("ReportBatchSplit", request, this.#stop.signal).catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#options.log.warn("pd.rs:1280", "report split failed", { err: errorText(error) });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#streamAbort.abort();
    this.#wakeStoreHeartbeat();
    await this.#running;
  }

  async #storeHeartbeats(): Promise<void> {
    const { session, clock, log, timeFactor, stats, hasPast } = this.#options;
    const { signal } = this.#stop;
    // A store's tick is set when it starts, not fired (tikv/tikv:components/raftstore/src/store/fsm/store.rs, `start`);
    // a new store's comes at once here, which keeps the start of a cluster short.
    if (hasPast) await clock.sleep(STORE_HEARTBEAT_MS * timeFactor, signal).catch(() => {});
    while (!signal.aborted) {
      const now = Math.floor(clock.now() / 1000);
      const interval = { start_timestamp: String(this.#intervalStart), end_timestamp: String(now) };
      try {
        await session.call("StoreHeartbeat", { stats: { ...stats(), interval } }, signal);
        this.#intervalStart = now;
      } catch (error) {
        if (!signal.aborted) log.error("pd.rs:1050", "store heartbeat failed", { err: errorText(error) });
      }
      const woken = new AbortController();
      this.#wakeStoreHeartbeat = () => woken.abort();
      await clock.sleep(STORE_HEARTBEAT_MS * timeFactor, AbortSignal.any([signal, woken.signal])).catch(() => {});
    }
  }

  async #regionHeartbeats(): Promise<void> {
    const { clock, timeFactor, store } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(REGION_HEARTBEAT_MS * timeFactor, signal).catch(() => {});
      for (const peer of store.peers) if (peer.isLeader) this.#heartbeat(peer);
    }
  }

  async #regionStream(): Promise<void> {
    const { session, store, clock, log, timeFactor } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#streamAbort = new AbortController();
      try {
        await using stream = await session.heartbeats(AbortSignal.any([signal, this.#streamAbort.signal]));
        this.#stream = stream;
        for (const peer of store.peers) if (peer.isLeader) this.#heartbeat(peer);
        for await (const reply of stream.responses) this.#obey(reply);
      } catch (error) {
        if (!signal.aborted && !this.#streamAbort.signal.aborted) {
          log.warn("client.rs:720", "send heartbeat failed", { err: errorText(error) });
          session.suspect();
        }
      }
      this.#stream = null;
      await clock.sleep(RECONNECT_MS * timeFactor, signal).catch(() => {});
    }
  }

  #heartbeat(peer: RegionPeer): void {
    const { region } = peer;
    const leader = region?.peers.find(({ id }) => id === peer.peerId);
    if (this.#stream === null || region === null || leader === undefined || !peer.isLeader) return;
    const behind = peer.tellBehind();
    const pending = region.peers.filter(({ id }) => behind.has(id));
    const flow = peer.flow.take();
    this.#options.heartbeatMessages.inc({ type: "send" });
    this.#stream.write({
      header: this.#options.session.header(),
      region: toRegionMessage(region),
      leader: toPeerMessage(leader),
      down_peers: this.#downPeers(peer, region),
      pending_peers: pending.map(toPeerMessage),
      bytes_written: String(flow.bytesWritten),
      keys_written: String(flow.keysWritten),
      bytes_read: String(flow.bytesRead),
      keys_read: String(flow.keysRead),
      approximate_size: String(peer.approximateBytes),
      approximate_keys: String(peer.approximateKeys),
      term: String(peer.node.roleState.term),
    });
  }

  #downPeers(peer: RegionPeer, region: Region): object[] {
    const after = PEER_DOWN_MS * this.#options.timeFactor;
    return region.peers.flatMap((other) => {
      const silentMs = other.id === peer.peerId ? 0 : peer.members.silentMs(other.id);
      if (silentMs < after) return [];
      return [{ peer: toPeerMessage(other), down_seconds: String(Math.round(silentMs / 1000)) }];
    });
  }

  #obey(reply: RegionHeartbeatReply): void {
    const { store, log, heartbeatMessages } = this.#options;
    const peer = store.peer(Number(reply.region_id));
    const epoch = peer?.region?.epoch;
    if (peer === undefined || epoch === undefined || !peer.isLeader) return;
    const asked = reply.region_epoch;
    const sameEpoch = asked !== null && +asked.conf_ver === epoch.confVer && +asked.version === epoch.version;
    const changes = reply.change_peer === null ? reply.change_peer_v2?.changes : [reply.change_peer];
    if (changes !== undefined) {
      heartbeatMessages.inc({ type: "change peer" });
      if (sameEpoch) this.#changePeers(peer, changes);
    } else if (reply.transfer_leader !== null) {
      heartbeatMessages.inc({ type: "transfer leader" });
      this.#transfer(peer, reply.transfer_leader);
    } else if (reply.split_region !== null) {
      heartbeatMessages.inc({ type: "split region" });
      const keys = reply.split_region.keys.map((key) => key.toString("latin1"));
      if (sameEpoch)
        this.#options.split(peer, keys).catch((error: unknown) => {
          log.warn("pd.rs:900", "failed to split region", { region_id: peer.id, err: errorText(error) });
        });
    } else heartbeatMessages.inc({ type: "noop" });
  }

  #changePeers(peer: RegionPeer, asked: readonly ChangePeerMessage[]): void {
    const changes = asked.flatMap(({ peer: target, change_type }) => {
      const type = CHANGE_TYPES[change_type];
      return target === null || type === undefined ? [] : [{ type, peer: fromPeerMessage(target) }];
    });
    const fields = {
      region_id: peer.id,
      changes: changes.map(({ type, peer: { id, storeId } }) => `${type} ${id}@${storeId}`).join(),
    };
    this.#options.log.info("pd.rs:1130", "try to change peer", fields);
    const refused = peer.changePeers(changes);
    if (refused !== null)
      this.#options.log.warn("peer.rs:4500", "failed to propose confchange", { ...fields, err: refused });
  }

  #transfer(peer: RegionPeer, { peer: single, peers }: NonNullable<RegionHeartbeatReply["transfer_leader"]>): void {
    const target = peers[0] ?? single;
    if (target === null) return;
    const to = fromPeerMessage(target);
    this.#options.log.info("pd.rs:1150", "try to transfer leader", { region_id: peer.id, to_peer: to.id });
    peer.node.transferLeader(to.id);
    this.#options.store.wake(peer.id);
  }
}
