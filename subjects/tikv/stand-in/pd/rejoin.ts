import type { Clock } from "../../../../harness/base/clock.ts";
import type { LinkRules } from "../../../common/link/link-rules.ts";

/** etcd's streams are given up after this long without a byte (server/etcdserver/api/rafthttp, `ConnReadTimeout`). */
const STREAMS_LIVE_MS = 5_000;
/** Recorded: a member whose container was off the network for 30 s took part again 24 s after it was back. */
const REJOIN_MS = 24_000;

/**
 * A member that was cut off from all others for longer than its streams live is deaf for a while after it is back:
 * its HTTP works at once, its place in the log only then.
 */
export class Rejoin implements Disposable {
  readonly #options: { readonly rules: LinkRules; readonly clock: Clock; readonly timeFactor: number };
  readonly #others: () => readonly string[];
  readonly #unsubscribe: () => void;
  #cutOffAtMs: number | null = null;
  #deafUntilMs = 0;

  constructor(
    options: { readonly rules: LinkRules; readonly clock: Clock; readonly timeFactor: number },
    others: () => readonly string[],
  ) {
    this.#options = options;
    this.#others = others;
    this.#unsubscribe = options.rules.onChange(() => this.#look());
    this.#look();
  }

  get deaf(): boolean {
    return this.#options.clock.monotonic() < this.#deafUntilMs;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #look(): void {
    const { rules, clock, timeFactor } = this.#options;
    // Clients too: a node that is off the network, not one whose peers are.
    const cutOff = rules.holds(null) && this.#others().every((name) => rules.holds(name));
    const now = clock.monotonic();
    if (cutOff) this.#cutOffAtMs ??= now;
    else if (this.#cutOffAtMs !== null) {
      if (now - this.#cutOffAtMs > STREAMS_LIVE_MS * timeFactor) this.#deafUntilMs = now + REJOIN_MS * timeFactor;
      this.#cutOffAtMs = null;
    }
  }
}
