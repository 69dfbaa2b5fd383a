import type { Clock } from "../base/clock.ts";

/** Counts an operator's working time: it stands still while somebody else is waited for. */
export class WorkingTime {
  readonly #clock: Clock;
  readonly #startedMs: number;
  #pauses = 0;
  #pausedSinceMs = 0;
  #pausedMs = 0;
  #resumed = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonic();
  }

  /** Until disposed. Pauses that overlap count once. */
  pause(): Disposable {
    if (this.#pauses++ === 0) {
      this.#pausedSinceMs = this.#clock.monotonic();
      this.#resumed = Promise.withResolvers();
    }
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        if (--this.#pauses > 0) return;
        this.#pausedMs += this.#clock.monotonic() - this.#pausedSinceMs;
        this.#resumed.resolve();
      },
    };
  }

  pausedMs(): number {
    return this.#pausedMs + (this.#pauses > 0 ? this.#clock.monotonic() - this.#pausedSinceMs : 0);
  }

  workedMs(): number {
    return this.#clock.monotonic() - this.#startedMs - this.pausedMs();
  }

  /** Resolves when so much has been worked. @throws the signal's reason */
  async worked(limitMs: number, signal: AbortSignal): Promise<void> {
    for (let left = limitMs; left > 0; left = limitMs - this.workedMs()) {
      // Whoever paused resumes, also when the session ends.
      if (this.#pauses > 0) await this.#resumed.promise;
      else await this.#clock.sleep(left, signal);
      signal.throwIfAborted();
    }
  }
}
