import type { Clock } from "../../../harness/base/clock.ts";
import { HarnessError } from "../../../harness/base/errors.ts";
import type { ClientWindow, Operation } from "../../../harness/protocol.ts";

/** An operation as recorded where it ran: its monotonic times are this program's, its wall times UTC. */
export interface HistoryEntry extends Operation {
  readonly startedWallMs: number;
  readonly endedWallMs: number;
}

/** Hours of ordinary load; what is older is gone, and a reader that asks for it is told so. */
const DEFAULT_CAPACITY = 500_000;
/** Short enough that a reader who left is noticed, long enough to cost nothing. */
const HEARTBEAT_MS = 1_000;
const BATCH = 1_000;

/** Completed operations in order of completion, numbered from 0, with any number of readers. */
export class HistoryLog {
  readonly #clock: Clock;
  readonly #capacity: number;
  #entries: HistoryEntry[] = [];
  #first = 0;
  #closed = false;
  #changed = Promise.withResolvers<void>();

  constructor(clock: Clock, capacity = DEFAULT_CAPACITY) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  append(entry: HistoryEntry): void {
    this.#entries.push(entry);
    // Trimmed in large steps: one copy per tenth of the capacity instead of one per entry.
    if (this.#entries.length > this.#capacity * 1.1) {
      const surplus = this.#entries.length - this.#capacity;
      this.#entries = this.#entries.slice(surplus);
      this.#first += surplus;
    }
    this.#announce();
  }

  /** No more entries will come; readers end when they have read all. */
  close(): void {
    this.#closed = true;
    this.#announce();
  }

  get count(): number {
    return this.#first + this.#entries.length;
  }

  /**
   * Batches from the `offset`-th entry on, as they come; empty ones when nothing happened for a second. Ends after
   * `close`.
   *
   * @throws HarnessError `workload-failed` when `offset` is no longer kept.
   */
  async *read(offset: number): AsyncGenerator<readonly HistoryEntry[], void> {
    let next = offset;
    for (;;) {
      if (next < this.#first) throw new HarnessError("workload-failed", `history before ${this.#first} is gone`);
      const batch = this.#entries.slice(next - this.#first, next - this.#first + BATCH);
      next += batch.length;
      if (batch.length > 0) yield batch;
      else if (this.#closed) return;
      else if (!(await this.#changeWithin(HEARTBEAT_MS))) yield [];
    }
  }

  /**
   * What clients saw in the last `windowMs`. An operation that has been outstanding for longer than the window counts as
   * one that did not succeed: during an outage nothing may have ended yet.
   */
  window(windowMs: number, outstandingSinceMs: Iterable<number>): ClientWindow {
    const from = this.#clock.monotonic() - windowMs;
    const durations: number[] = [];
    let ok = 0;
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index] as HistoryEntry;
      if (entry.endedMs < from) break;
      durations.push(entry.endedMs - entry.startedMs);
      if (entry.outcome === "ok") ok++;
    }
    for (const since of outstandingSinceMs) if (since < from) durations.push(this.#clock.monotonic() - since);
    const operations = durations.length;
    if (operations === 0) return { windowMs, operations, okRatio: null, p99Ms: null };
    durations.sort((a, b) => a - b);
    return {
      windowMs,
      operations,
      okRatio: ok / operations,
      p99Ms: durations[Math.ceil(operations * 0.99) - 1] ?? null,
    };
  }

  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async #changeWithin(ms: number): Promise<boolean> {
    const waited = new AbortController();
    const slept = this.#clock.sleep(ms, waited.signal).then(
      () => false,
      () => false,
    );
    const changed = await Promise.race([this.#changed.promise.then(() => true), slept]);
    waited.abort();
    return changed;
  }
}
