import type { Clock } from "../../base/clock.ts";

/** A bucket of `burst` requests that fills with `perSecond`. */
export class RateLimit {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #atMs: number;

  constructor(
    { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
    clock: Pick<Clock, "monotonic">,
  ) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#atMs = clock.monotonic();
  }

  /** Takes one; 0 when there was one, else after how many ms there will be. */
  take(): number {
    const now = this.#clock.monotonic();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#atMs) * this.#perSecond) / 1_000);
    this.#atMs = now;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1_000) / this.#perSecond);
    this.#left -= 1;
    return 0;
  }
}
