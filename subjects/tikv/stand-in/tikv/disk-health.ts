import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText, StoreError } from "../../../../harness/base/errors.ts";
import type { RaftStorage } from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import type { ConfigController } from "./config/controller.ts";
import { DiskInspector } from "./disk-inspector.ts";
import { DiskWatch } from "./disk-watch.ts";
import { FailFast } from "./fail-fast.ts";
import type { TikvMetrics } from "./tikv-metrics.ts";

export interface DiskHealthOptions {
  readonly folder: string;
  readonly storage: RaftStorage;
  readonly config: ConfigController;
  readonly metrics: TikvMetrics;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly timeFactor: number;
  onFatal(error: unknown): void;
}

/** DEFAULT_STORAGE_STATS_INTERVAL, from 8.5.4 on (tikv/tikv:components/server/src/server.rs). */
const WATCH_MS = 60_000;

const STALL_WINDOW_MS = 60_000;

/** How a store's disk is: how full, how quick, and whether it answers at all. */
export class DiskHealth implements Disposable {
  readonly space: DiskWatch;
  /** The log of the Raft groups, with every write measured. */
  readonly storage: RaftStorage;
  readonly #inspector: DiskInspector;
  readonly #failFast: FailFast;
  /** How long writes had to wait while the log was made anew. */
  #stalls: { readonly at: number; readonly ms: number }[] = [];

  constructor(options: DiskHealthOptions) {
    const { folder, storage, config, metrics, clock, log, timeFactor, onFatal } = options;
    this.space = new DiskWatch({
      folder,
      capacityBytes: config.bytes("raftstore.capacity"),
      reserveBytes: config.bytes("storage.reserve-space"),
      clock,
      log,
      everyMs: WATCH_MS * timeFactor,
      raftBytes: () => storage.sizeBytes,
    });
    const inspected = metrics.inspections.bind({ type: "all" });
    this.#inspector = new DiskInspector({ folder, clock, timeFactor, observe: inspected });
    this.#failFast = new FailFast({
      clock,
      log,
      criticalErrors: metrics.criticalErrors,
      timeoutMs: () => config.duration("raftstore.disk-hang-timeout") * timeFactor,
      onHang: onFatal,
    });
    this.storage = this.#measured(storage, clock, metrics.raft.appendLog);
    const stall = metrics.registry.gauge("tikv_engine_write_stall", "Histogram of write stall (us)");
    metrics.registry.collect(() => {
      this.#stalls = this.#stalls.filter(({ at }) => clock.monotonic() - at < STALL_WINDOW_MS);
      stall.set({ db: "kv", type: "write_stall_max" }, Math.max(0, ...this.#stalls.map(({ ms }) => ms * 1000)));
    });
    metrics.registry.collect(() => metrics.slowScore.set({ type: "raft" }, this.slowScore));
  }

  /** 1 to 100. */
  get slowScore(): number {
    return Math.round(this.#inspector.score);
  }

  /** Until the signal aborts. */
  watch(signal: AbortSignal): void {
    this.space.reserve();
    void this.space.run(signal);
    void this.#inspector.run(signal);
    void this.#failFast.run(signal);
  }

  [Symbol.dispose](): void {
    this.#inspector[Symbol.dispose]();
  }

  #measured(storage: RaftStorage, clock: Clock, observe: (ms: number) => void): RaftStorage {
    const during = async (work: () => Promise<void>): Promise<number> => {
      const started = clock.monotonic();
      this.#writing(started);
      try {
        await work();
      } catch (cause) {
        throw new StoreError(`failed to write to raft engine: ${errorText(cause)}`, { cause });
      } finally {
        this.#writing(null);
      }
      return clock.monotonic() - started;
    };
    return {
      get sizeBytes() {
        return storage.sizeBytes;
      },
      write: async (updates) => observe(await during(() => storage.write(updates))),
      rewrite: async (images) => {
        const ms = await during(() => storage.rewrite(images));
        this.#stalls.push({ at: clock.monotonic(), ms });
      },
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  }

  #writing(since: number | null): void {
    this.#inspector.writing(since);
    this.#failFast.writing(since);
  }
}
