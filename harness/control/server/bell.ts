import type { Clock } from "../../base/clock.ts";

const OVER = "it rang";

/** Wakes everybody who waits, at once. Who begins to wait after a ring waits for the next. */
export class Bell {
  readonly #clock: Pick<Clock, "sleep">;
  #next = Promise.withResolvers<void>();

  constructor(clock: Pick<Clock, "sleep">) {
    this.#clock = clock;
  }

  ring(): void {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  }

  /** To be taken before looking, so that what comes between looking and waiting is not missed. */
  get rung(): Promise<void> {
    return this.#next.promise;
  }

  /** Resolves when `rung` does, after `ms`, or when the signal aborts, whichever is first. */
  async wait(rung: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const late = this.#clock.sleep(ms, AbortSignal.any([signal, over.signal])).catch(() => {});
    await Promise.race([rung, late]);
    over.abort(OVER);
  }
}
