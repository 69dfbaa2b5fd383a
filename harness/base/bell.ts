import type { Clock } from "./clock.ts";

/** Ends a wait early. A ring while nobody waits ends the next wait at once. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #stop: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#stop?.abort();
  }

  /** At least `minMs`, at most `maxMs`. @throws the signal's reason. */
  async wait(minMs: number, maxMs: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(minMs, signal);
    if (!this.#rung && maxMs > minMs) {
      const stop = new AbortController();
      this.#stop = stop;
      try {
        await this.#clock.sleep(maxMs - minMs, AbortSignal.any([signal, stop.signal]));
      } catch {
        signal.throwIfAborted();
      } finally {
        this.#stop = null;
      }
    }
    this.#rung = false;
  }
}
