import type { Clock } from "../../../../harness/base/clock.ts";

/** How far ahead of the timestamps given out the bound on disk is moved (`tso-save-interval`). */
const AHEAD_MS = 5_000;
/** It is moved when this little is left of it, so that hardly anybody waits for a disk. */
const LEFT_MS = 500;
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

  /**
   * Called every so often while this member leads, whether or not anybody asks for timestamps: PD moves them on with its
   * clock, and the bound with them (tikv/pd:pkg/tso/tso.go, `UpdateTimestamp`).
   *
   * @throws whatever saving throws.
   */
  async moveOn(): Promise<void> {
    this.#toNow();
    if (this.#isShort) await this.#extend();
  }

  /** @returns the last of `count` timestamps. @throws whatever saving throws. */
  async next(count: number): Promise<{ readonly physical: number; readonly logical: number }> {
    this.#toNow();
    if (this.#logical + count >= LOGICAL_LIMIT) [this.#physical, this.#logical] = [this.#physical + 1, 0];
    this.#logical += count;
    const last = { physical: this.#physical, logical: this.#logical };
    if (this.#isShort) {
      const extended = this.#extend();
      if (last.physical >= this.#saved) await extended;
      else extended.catch(() => {});
    }
    return last;
  }

  #toNow(): void {
    const now = this.#clock.now();
    if (now > this.#physical) [this.#physical, this.#logical] = [now, 0];
  }

  get #isShort(): boolean {
    return this.#physical > this.#saved - LEFT_MS;
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
