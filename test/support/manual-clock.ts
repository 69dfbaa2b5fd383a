import type { Clock, EpochMs } from "../../harness/base/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  wake(): void;
}

/** Time that moves only when the test says so. `advance` runs every sleeper that falls due, in order of due time. */
export class ManualClock implements Clock {
  #elapsedMs = 0;
  #epochMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startAt = Date.UTC(2026, 0, 1)) {
    this.#epochMs = startAt;
  }

  now(): EpochMs {
    return (this.#epochMs + this.#elapsedMs) as EpochMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  /** Moves the wall clock alone, as an administrator or NTP would. */
  jump(ms: number): void {
    this.#epochMs += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const sleeper: Sleeper = {
        dueMs: this.#elapsedMs + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Number of waits that have not fallen due. */
  get waiting(): number {
    return this.#sleepers.size;
  }

  async advance(ms: number): Promise<void> {
    const target = this.#elapsedMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#sleepers].filter((s) => s.dueMs <= target).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#elapsedMs = target;
  }
}

/** Lets everything that is already resolved run, including promises chained behind it. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
