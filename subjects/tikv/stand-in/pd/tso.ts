import type { Clock } from "../../../../harness/base/clock.ts";

/** How far ahead of the timestamps given out the bound on disk is kept (PD's tso-save-interval is 5 s). */
const AHEAD_MS = 3_000;
const LOGICAL_LIMIT = 1 << 18;

/**
 * Timestamps that never repeat and never go back, also over leader changes and clocks that jump: nothing beyond the
 * bound that all members know is given out, and a new leader starts above it.
 */
export class Tso {
  readonly #clock: Clock;
  readonly #save: (upToMs: number) => Promise<void>;
  #physical = 0;
  #logical = 0;
  #saved = 0;
  #saving: Promise<void> | null = null;

  /** @param save makes the bound durable on a majority. */
  constructor(clock: Clock, save: (upToMs: number) => Promise<void>) {
    this.#clock = clock;
    this.#save = save;
  }

  /** Called when leadership begins, with the bound that is on disk. */
  async begin(savedUpToMs: number): Promise<void> {
    this.#physical = Math.max(this.#clock.now(), savedUpToMs + 1);
    this.#logical = 0;
    this.#saved = savedUpToMs;
    await this.#extend();
  }

  /** @returns the last of `count` timestamps. @throws whatever saving throws. */
  async next(count: number): Promise<{ readonly physical: number; readonly logical: number }> {
    const now = this.#clock.now();
    if (now > this.#physical) [this.#physical, this.#logical] = [now, 0];
    if (this.#logical + count >= LOGICAL_LIMIT) [this.#physical, this.#logical] = [this.#physical + 1, 0];
    this.#logical += count;
    const last = { physical: this.#physical, logical: this.#logical };
    // Ahead of need, so that hardly anybody waits for a disk.
    if (last.physical > this.#saved - AHEAD_MS / 2) {
      const extended = this.#extend();
      if (last.physical >= this.#saved) await extended;
      else extended.catch(() => {});
    }
    return last;
  }

  #extend(): Promise<void> {
    const upTo = this.#physical + AHEAD_MS;
    this.#saving ??= this.#save(upTo)
      .then(() => {
        this.#saved = upTo;
      })
      .finally(() => {
        this.#saving = null;
      });
    return this.#saving;
  }
}
