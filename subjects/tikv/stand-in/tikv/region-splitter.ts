import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import type { PdSession } from "./pd-session.ts";
import type { RegionPeer } from "./region-peer.ts";
import { regionHolds, toRegionMessage } from "./region.ts";
import { halfKey, sizedKeys } from "./split-keys.ts";
import type { Store } from "./store.ts";

export interface RegionSplitterOptions {
  readonly session: PdSession;
  readonly store: Store;
  readonly config: ConfigController;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
}

/** pdpb.SplitReason */
const REASONS = { ADMIN: 0, SIZE: 1 } as const;

/** Splits regions: where PD says, in half, and by themselves when they have grown too big. */
export class RegionSplitter {
  readonly #options: RegionSplitterOptions;
  readonly #busy = new Set<number>();
  readonly #stop = new AbortController();

  constructor(options: RegionSplitterOptions) {
    this.#options = options;
  }

  /** Looks at every `raftstore.split-region-check-tick-interval`, until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    const { clock, config, timeFactor, store, log } = this.#options;
    while (!signal.aborted) {
      const interval = config.duration("raftstore.split-region-check-tick-interval") * timeFactor;
      await clock.sleep(interval, signal).catch(() => {});
      for (const peer of store.peers) {
        const keys = peer.isLeader && peer.region !== null ? this.#tooBig(peer) : [];
        if (keys.length === 0 || signal.aborted) continue;
        this.splitAt(peer, keys, "SIZE").catch((error: unknown) => {
          if (!signal.aborted)
            log.warn("pd.rs:900", "failed to split region", { region_id: peer.id, err: errorText(error) });
        });
      }
    }
  }

  /** In the middle of what it holds; a region of one key stays whole. @throws as `PdSession.call`. */
  async splitInHalf(peer: RegionPeer): Promise<void> {
    const key = peer.state === null ? null : halfKey(peer.state.values);
    if (key !== null) await this.splitAt(peer, [key], "ADMIN");
  }

  /** At those keys that lie inside the region. @throws as `PdSession.call`. */
  async splitAt(peer: RegionPeer, wanted: readonly string[], reason: keyof typeof REASONS): Promise<void> {
    const { region } = peer;
    if (region === null || !peer.isLeader || this.#busy.has(peer.id)) return;
    const keys = [...new Set(wanted)].sort().filter((key) => key > region.startKey && regionHolds(region, key));
    if (keys.length === 0) return;
    this.#busy.add(peer.id);
    try {
      const { ids } = await this.#options.session.call(
        "AskBatchSplit",
        { region: toRegionMessage(region), split_count: keys.length, reason: REASONS[reason] },
        this.#stop.signal,
      );
      const parts = ids.map(({ new_region_id, new_peer_ids }) => ({
        regionId: Number(new_region_id),
        peerIds: new_peer_ids.map(Number),
      }));
      const result = await peer.split(region.epoch, keys, parts);
      if (!result.ok) throw new Error(result.error.message);
    } finally {
      this.#busy.delete(peer.id);
    }
  }

  #tooBig(peer: RegionPeer): string[] {
    const { config } = this.#options;
    const limits = {
      maxBytes: config.bytes("coprocessor.region-max-size"),
      splitBytes: config.bytes("coprocessor.region-split-size"),
      maxKeys: config.number("coprocessor.region-max-keys"),
      splitKeys: config.number("coprocessor.region-split-keys"),
      batch: config.number("coprocessor.batch-split-limit"),
    };
    const { approximateBytes, approximateKeys, state } = peer;
    if (state === null || (approximateBytes < limits.maxBytes && approximateKeys < limits.maxKeys)) return [];
    return sizedKeys(state.values, limits);
  }
}
