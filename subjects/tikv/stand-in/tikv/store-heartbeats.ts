import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import type { StoreHeartbeatReply } from "./pd-messages.ts";
import type { PdSession } from "./pd-session.ts";
import { toQueryStats } from "./peer-flow.ts";
import type { Store } from "./store.ts";

export interface StoreHeartbeatsOptions {
  readonly session: PdSession;
  readonly store: Store;
  readonly config: ConfigController;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
  /** It has data from another life. */
  readonly hasPast: boolean;
  /** What of `pdpb.StoreStats` others than the replicas know. */
  stats(): Readonly<Record<string, unknown>>;
  /** `pdpb.StoreReport` when PD has asked for one and it is ready. */
  report(): object | null;
  /** What PD answered, e.g. what it wants of this store. */
  onReply(reply: StoreHeartbeatReply): void;
}

/** Reads of a region that PD hears of one by one are those above these rates (raftstore's worker/pd.rs). */
const HOT_KEYS_PER_S = 128;
const HOT_BYTES_PER_S = 8 << 10;
const HOT_QUERIES_PER_S = 128;
const MOST_HOT_PEERS = 1_000;

/** Tells PD every `raftstore.pd-store-heartbeat-tick-interval` that the store lives, and what it has been doing. */
export class StoreHeartbeats {
  readonly #options: StoreHeartbeatsOptions;
  #intervalStart: number;
  #wake: () => void = () => {};

  constructor(options: StoreHeartbeatsOptions) {
    this.#options = options;
    this.#intervalStart = Math.floor(options.clock.now() / 1000);
  }

  /** The next one is due now. */
  wake(): void {
    this.#wake();
  }

  /** One at once, beside those that are due. Never rejects. */
  async now(signal: AbortSignal): Promise<void> {
    await this.#beat(signal);
  }

  /** Until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    // A store's tick is set when it starts, not fired (tikv/tikv:components/raftstore/src/store/fsm/store.rs, `start`);
    // a new store's comes at once here, which keeps the start of a cluster short.
    if (this.#options.hasPast) await this.#pause(signal);
    while (!signal.aborted) {
      await this.#beat(signal);
      await this.#pause(signal);
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, config, timeFactor } = this.#options;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const interval = config.duration("raftstore.pd-store-heartbeat-tick-interval") * timeFactor;
    await clock.sleep(interval, AbortSignal.any([signal, woken.signal])).catch(() => {});
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { session, clock, log, report, onReply } = this.#options;
    const now = Math.floor(clock.now() / 1000);
    try {
      const request = { stats: this.#stats(now), store_report: report() };
      const reply = await session.call("StoreHeartbeat", request, signal);
      this.#intervalStart = now;
      onReply(reply);
    } catch (error) {
      if (!signal.aborted) log.error("pd.rs:1050", "store heartbeat failed", { err: errorText(error) });
    }
  }

  #stats(now: number): Record<string, unknown> {
    const { store, stats } = this.#options;
    const peers = [...store.peers];
    const flow = store.flow.take();
    return {
      store_id: String(store.storeId),
      region_count: peers.length,
      sending_snap_count: peers.flatMap((peer) => peer.node.members()).filter((member) => member.behindLog).length,
      applying_snap_count: peers.filter((peer) => !peer.initialized).length,
      bytes_written: String(flow.bytesWritten),
      keys_written: String(flow.keysWritten),
      bytes_read: String(flow.bytesRead),
      keys_read: String(flow.keysRead),
      query_stats: toQueryStats(flow.queries),
      peer_stats: this.#hotPeers(Math.max(1, now - this.#intervalStart)),
      interval: { start_timestamp: String(this.#intervalStart), end_timestamp: String(now) },
      ...stats(),
    };
  }

  #hotPeers(seconds: number): object[] {
    const hot = [...this.#options.store.peers].flatMap((peer) => {
      const { bytesRead, keysRead, queries } = peer.readFlow.take();
      const isHot =
        keysRead >= HOT_KEYS_PER_S * seconds ||
        bytesRead >= HOT_BYTES_PER_S * seconds ||
        queries.Get + queries.Scan >= HOT_QUERIES_PER_S * seconds;
      if (!isHot) return [];
      const stat = {
        region_id: String(peer.id),
        read_keys: String(keysRead),
        read_bytes: String(bytesRead),
        query_stats: toQueryStats(queries),
      };
      return [{ bytesRead, stat }];
    });
    return hot
      .sort((a, b) => b.bytesRead - a.bytesRead)
      .slice(0, MOST_HOT_PEERS)
      .map(({ stat }) => stat);
  }
}
