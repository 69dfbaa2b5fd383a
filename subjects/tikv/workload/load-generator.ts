import type { Clock } from "../../../harness/base/clock.ts";
import type { Random } from "../../../harness/base/random.ts";
import type { Operation, WorkloadOptions } from "../../../harness/protocol.ts";
import type { HistoryEntry } from "./history-log.ts";
import { keyOf, valueOf } from "./keys.ts";
import type { RawClient, RawResult } from "./raw-client.ts";

export interface LoadOptions {
  readonly workload: WorkloadOptions;
  /** Makes this run's keys and values its own. */
  readonly run: string;
  readonly client: Pick<RawClient, "get" | "put">;
  readonly clock: Clock;
  readonly random: Random;
  onEnd(entry: HistoryEntry): void;
  onSkip(): void;
}

const WRITE_SHARE = 0.5;

/**
 * Starts operations at a fixed rate whatever becomes of earlier ones (an open loop). Writes give each key its one value;
 * reads ask for a key whose write has been started at some time before.
 */
export class LoadGenerator {
  readonly #options: LoadOptions;
  readonly #outstanding = new Map<Promise<void>, number>();
  readonly #maxOutstanding: number;
  readonly #stopping = new AbortController();
  readonly #never = new AbortController().signal;
  #writes = 0;
  #finished: Promise<void> | null = null;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { ratePerSecond, deadlineMs, clients } = options.workload;
    this.#maxOutstanding = Math.ceil((ratePerSecond * deadlineMs) / 1_000) + clients;
  }

  /** Resolves after `stop`, when the last operation has ended. Call once. */
  start(): void {
    this.#finished ??= this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#finished;
  }

  get inFlight(): number {
    return this.#outstanding.size;
  }

  /** When each outstanding operation began, monotonic. */
  outstandingSinceMs(): Iterable<number> {
    return this.#outstanding.values();
  }

  /** Every key whose write was ever started. */
  *keys(): Generator<string> {
    for (let n = 0; n < this.#writes; n++) yield this.#key(n);
  }

  async #loop(): Promise<void> {
    const { clock, workload, onSkip } = this.#options;
    const startedAt = clock.monotonic();
    const stop = this.#stopping.signal;
    for (let number = 0; !stop.aborted; number++) {
      const wait = startedAt + (number * 1_000) / workload.ratePerSecond - clock.monotonic();
      if (wait > 0) await clock.sleep(wait, stop).catch(() => {});
      if (stop.aborted) break;
      if (this.#outstanding.size >= this.#maxOutstanding) onSkip();
      else this.#begin(number % workload.clients);
    }
    await Promise.all(this.#outstanding.keys());
  }

  #begin(client: number): void {
    const { random, clock } = this.#options;
    const writing = this.#writes === 0 || random.next() < WRITE_SHARE;
    const n = writing ? this.#writes++ : random.int(this.#writes);
    const operation = this.#operate(client, writing ? "write" : "read", n).finally(() =>
      this.#outstanding.delete(operation),
    );
    this.#outstanding.set(operation, clock.monotonic());
  }

  async #operate(client: number, kind: Operation["kind"], n: number): Promise<void> {
    const { clock, client: store, run, onEnd } = this.#options;
    const key = this.#key(n);
    const written = valueOf(run, n);
    const [startedMs, startedWallMs] = [clock.monotonic(), clock.now()];
    const signal = this.#never;
    const result = await (kind === "write" ? store.put(key, written, signal) : store.get(key, signal)).catch(broken);
    onEnd({
      client,
      kind,
      key,
      value: kind === "write" ? written : result.value,
      outcome: result.outcome,
      startedMs,
      endedMs: clock.monotonic(),
      error: result.error,
      startedWallMs,
      endedWallMs: clock.now(),
    });
  }

  #key(n: number): string {
    const { workload, run } = this.#options;
    return keyOf({ keyPrefix: workload.keyPrefix, seed: workload.seed, run }, n);
  }
}

/** A defect of the client is not an answer of the cluster, but the operation was begun all the same. */
function broken(error: unknown): RawResult {
  return { outcome: "unknown", value: null, error: `client: ${error instanceof Error ? error.message : "defect"}` };
}
