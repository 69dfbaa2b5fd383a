/** How many commands may run at once, and how many do. */
export interface SlotCounts {
  readonly slots: number;
  readonly busy: number;
  readonly waiting: number;
}

interface Waiter {
  readonly who: string;
  admit(): void;
}

/** Waiting commands that justify one more slot. */
const PER_SLOT = 2;

/**
 * Slots for commands between two bounds: `min` at rest, one more for every two that wait, never more than `max`. Who
 * waits is let in, first come first served, as soon as a slot is free or a new one is justified. The last slot is kept
 * for whoever has none: however much one asks for, the other is not kept out.
 */
export class WorkerSlots {
  readonly #min: number;
  readonly #max: number;
  readonly #waiters = new Set<Waiter>();
  readonly #held = new Map<string, number>();
  #busy = 0;
  /** Called when a slot may have become free for who does not wait in line. */
  onFree: () => void = () => {};

  constructor({ min, max }: { readonly min: number; readonly max: number }) {
    if (!(min >= 1 && max >= min)) throw new RangeError("slots: 1 <= min <= max");
    this.#min = min;
    this.#max = max;
  }

  /** Waits for a slot; dispose it to give it back. @throws the signal's reason. */
  async acquire(who: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { who, admit: resolve };
    const abort = (): void => {
      this.#waiters.delete(waiter);
      reject(signal.reason as Error);
    };
    this.#waiters.add(waiter);
    signal.addEventListener("abort", abort, { once: true });
    this.#admit();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return this.#slot(who);
  }

  /** A slot if one is free now. @param queued how many wait besides those in line. */
  tryAcquire(who: string, queued: number): Disposable | null {
    const inLine = [...this.#waiters].some((waiter) => waiter.who === who);
    if (inLine || !this.#may(who, queued)) return null;
    this.#take(who);
    return this.#slot(who);
  }

  counts(queued = 0): SlotCounts {
    return { slots: Math.max(this.#target(queued), this.#busy), busy: this.#busy, waiting: this.#waiters.size };
  }

  #may(who: string, queued: number): boolean {
    const own = this.#held.get(who) ?? 0;
    if (own === 0 && this.#busy < this.#max) return true;
    const most = Math.max(1, this.#max - 1);
    return own < most && this.#busy < this.#target(queued);
  }

  #target(queued: number): number {
    const waiting = this.#waiters.size + queued;
    return Math.min(this.#max, this.#min + Math.floor(waiting / PER_SLOT));
  }

  /** Taken in the moment of being let in, so that two can never get the same. */
  #admit(): void {
    for (const waiter of this.#waiters) {
      if (!this.#may(waiter.who, 0)) continue;
      this.#waiters.delete(waiter);
      this.#take(waiter.who);
      waiter.admit();
    }
  }

  #take(who: string): void {
    this.#busy += 1;
    this.#held.set(who, (this.#held.get(who) ?? 0) + 1);
  }

  #slot(who: string): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#busy -= 1;
        this.#held.set(who, (this.#held.get(who) ?? 1) - 1);
        this.#admit();
        this.onFree();
      },
    };
  }
}
