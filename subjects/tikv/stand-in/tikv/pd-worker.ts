import { errorText } from "../../../../harness/base/errors.ts";
import type { Random } from "../../../../harness/base/random.ts";
import { PdOrders } from "./pd-orders.ts";
import { RegionHeartbeats, type RegionHeartbeatsOptions } from "./region-heartbeats.ts";
import { RegionSplitter } from "./region-splitter.ts";
import type { RegionPeer } from "./region-peer.ts";
import { toRegionMessage, type Region } from "./region.ts";
import { StoreRecovery } from "./store-recovery.ts";
import { StalePeers } from "./stale-peers.ts";
import { StoreHeartbeats, type StoreHeartbeatsOptions } from "./store-heartbeats.ts";

export interface PdWorkerOptions
  extends Omit<StoreHeartbeatsOptions, "report">, Omit<RegionHeartbeatsOptions, "onReply"> {
  readonly random: Random;
}

/** Stores find a new PD leader one after the other (recorded: all were back 1.0 to 2.5 s after it answered). */
const FIND_LEADER_MS = 2_500;
const LAST_WORD_MS = 1_000;

/** Keeps PD informed about a store and the regions that it leads, and does what PD asks for. */
export class PdWorker implements AsyncDisposable {
  readonly #options: PdWorkerOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #regions: RegionHeartbeats;
  readonly #stores: StoreHeartbeats;

  constructor(options: PdWorkerOptions) {
    this.#options = options;
    const { session, clock, random, timeFactor } = options;
    const { signal } = this.#stop;
    const splitter = new RegionSplitter(options);
    const orders = new PdOrders({ ...options, splitter });
    const recovery = new StoreRecovery({ ...options, onReport: () => this.#stores.wake() });
    this.#stores = new StoreHeartbeats({
      ...options,
      report: () => recovery.takeReport(),
      onReply: (reply) => {
        options.onReply(reply);
        if (reply.recovery_plan !== null) void recovery.carryOut(reply.recovery_plan, signal);
      },
    });
    this.#regions = new RegionHeartbeats({ ...options, onReply: (reply) => orders.obey(reply) });
    session.onLeader(() => {
      this.#regions.reconnect();
      clock.sleep(random.int(FIND_LEADER_MS) * timeFactor, signal).then(
        () => this.#stores.wake(),
        () => {},
      );
    });
    const parts = [this.#stores, this.#regions, splitter, new StalePeers(options)];
    this.#running = Promise.all(parts.map((part) => part.run(signal)));
  }

  /** Says at once how the store is, e.g. that it is about to stop. Gives up after a second. Never rejects. */
  async heartbeat(): Promise<void> {
    await this.#stores.now(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LAST_WORD_MS)]));
  }

  /** Heartbeats that are due and not sent yet. */
  get pending(): number {
    return this.#regions.pending;
  }

  /** Sends this region's heartbeat before anything else happens in the next turn of the loop. */
  report(peer: RegionPeer): void {
    this.#regions.report(peer);
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
    await this.#running;
  }
}
