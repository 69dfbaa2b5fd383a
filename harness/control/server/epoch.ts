import type { Clock, Ids } from "../../protocol.ts";
import { MAX_SKEW_MS } from "../signing.ts";

/** A nonce is remembered for as long as its timestamp can pass, and a clock that went back a little makes it pass longer. */
const KEPT_MS = 3 * MAX_SKEW_MS + 1_000;
/** Every one was sent by a holder of a token; beyond it the oldest are forgotten by a new epoch. */
const MOST = 500_000;

/**
 * What makes a capture worthless: every start has an epoch of its own, and within it every nonce passes once. Nonces
 * need not be kept longer than timestamps pass, unless the wall clock goes back: then a new epoch begins.
 */
export class Epoch {
  readonly #clock: Clock;
  readonly #ids: Ids;
  /** Nonce -> when it came, in that order. */
  readonly #seen = new Map<string, number>();
  #current: string;
  /** The furthest that the wall clock was ahead of the monotonic one. */
  #aheadMs: number;

  constructor(deps: { readonly clock: Clock; readonly ids: Ids }) {
    this.#clock = deps.clock;
    this.#ids = deps.ids;
    this.#current = deps.ids.hex(8);
    this.#aheadMs = deps.clock.now() - deps.clock.monotonic();
  }

  get current(): string {
    const ahead = this.#clock.now() - this.#clock.monotonic();
    if (ahead < this.#aheadMs - MAX_SKEW_MS) this.#begin(ahead);
    this.#aheadMs = Math.max(this.#aheadMs, ahead);
    return this.#current;
  }

  /** True the first time. Only to be asked once the signature has been found good. */
  isNew(nonce: string): boolean {
    if (this.#seen.has(nonce)) return false;
    const now = this.#clock.monotonic();
    for (const [old, at] of this.#seen) {
      if (now - at < KEPT_MS) break;
      this.#seen.delete(old);
    }
    this.#seen.set(nonce, now);
    if (this.#seen.size > MOST) this.#begin(this.#aheadMs);
    return true;
  }

  #begin(ahead: number): void {
    this.#current = this.#ids.hex(8);
    this.#aheadMs = ahead;
    this.#seen.clear();
  }
}
