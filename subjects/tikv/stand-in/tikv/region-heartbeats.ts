import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { BidiCall } from "../../../common/link/node-grpc-client.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import type { NodeLog } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import type { RegionHeartbeatReply } from "./pd-messages.ts";
import type { PdSession } from "./pd-session.ts";
import { toQueryStats } from "./peer-flow.ts";
import type { RegionPeer } from "./region-peer.ts";
import { toPeerMessage, toRegionMessage, type Region } from "./region.ts";
import type { Store } from "./store.ts";

export interface RegionHeartbeatsOptions {
  readonly session: PdSession;
  readonly store: Store;
  readonly config: ConfigController;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
  readonly messages: Counter;
  /** What PD wants of a region that this store leads, or led. */
  onReply(reply: RegionHeartbeatReply): void;
}

const RECONNECT_MS = 100;

/** Tells PD about every region that this store leads: at once what changed, the rest once a minute. */
export class RegionHeartbeats {
  readonly #options: RegionHeartbeatsOptions;
  readonly #due = new Set<RegionPeer>();
  /** Epoch seconds of the last report of each. */
  readonly #reportedAt = new WeakMap<RegionPeer, number>();
  #stream: BidiCall<object, RegionHeartbeatReply> | null = null;
  #streamAbort = new AbortController();
  #scheduled = false;

  constructor(options: RegionHeartbeatsOptions) {
    this.#options = options;
  }

  /** Regions whose report is due and not sent yet. */
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
      for (const due of this.#due) this.#send(due);
      this.#due.clear();
    });
  }

  /** PD is led by somebody else: the stream is opened anew. */
  reconnect(): void {
    this.#streamAbort.abort();
  }

  /** Until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const stopped = (): void => this.#streamAbort.abort();
    signal.addEventListener("abort", stopped, { once: true });
    await Promise.all([this.#followStream(signal), this.#reportAll(signal)]);
  }

  async #reportAll(signal: AbortSignal): Promise<void> {
    const { clock, config, timeFactor, store } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(config.duration("raftstore.pd-heartbeat-tick-interval") * timeFactor, signal).catch(() => {});
      for (const peer of store.peers) if (peer.isLeader) this.#send(peer);
    }
  }

  async #followStream(signal: AbortSignal): Promise<void> {
    const { session, store, clock, log, timeFactor, onReply } = this.#options;
    while (!signal.aborted) {
      this.#streamAbort = new AbortController();
      try {
        await using stream = await session.heartbeats(AbortSignal.any([signal, this.#streamAbort.signal]));
        this.#stream = stream;
        log.info("client.rs:700", "heartbeat sender and receiver are refreshed");
        for (const peer of store.peers) if (peer.isLeader) this.#send(peer);
        for await (const reply of stream.responses) onReply(reply);
        // A member that leads no more ends the stream without an error.
        session.suspect();
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

  #send(peer: RegionPeer): void {
    const { region, self } = peer;
    if (this.#stream === null || region === null || self === undefined || !peer.isLeader) return;
    const behind = peer.tellBehind();
    const pending = region.peers.filter(({ id }) => behind.has(id));
    const flow = peer.flow.take();
    const now = Math.floor(this.#options.clock.now() / 1000);
    const since = this.#reportedAt.get(peer) ?? now;
    this.#reportedAt.set(peer, now);
    this.#options.messages.inc({ type: "send" });
    this.#stream.write({
      header: this.#options.session.header(),
      region: toRegionMessage(region),
      leader: toPeerMessage(self),
      down_peers: this.#downPeers(peer, region),
      pending_peers: pending.map(toPeerMessage),
      bytes_written: String(flow.bytesWritten),
      keys_written: String(flow.keysWritten),
      bytes_read: String(flow.bytesRead),
      keys_read: String(flow.keysRead),
      query_stats: toQueryStats(flow.queries),
      approximate_size: String(peer.approximateBytes),
      approximate_keys: String(peer.approximateKeys),
      interval: { start_timestamp: String(since), end_timestamp: String(now) },
      term: String(peer.node.roleState.term),
    });
  }

  /** Peers that have been silent for `raftstore.max-peer-down-duration`. */
  #downPeers(peer: RegionPeer, region: Region): object[] {
    const after = this.#options.config.duration("raftstore.max-peer-down-duration") * this.#options.timeFactor;
    return region.peers.flatMap((other) => {
      const silentMs = other.id === peer.peerId ? 0 : peer.members.silentMs(other.id);
      if (silentMs < after || other.id === peer.peerId) return [];
      return [{ peer: toPeerMessage(other), down_seconds: String(Math.round(silentMs / 1000)) }];
    });
  }
}
