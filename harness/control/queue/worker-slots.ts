/** How many commands may run at once, and how many do. */
export interface SlotCounts {
  readonly slots: number;
  readonly busy: number;
  readonly waiting: number;
}

interface Waiter {
  admit(): void;
}

/** Waiting commands that justify one more slot. */
const PER_SLOT = 2;

/**
 * Slots for commands between two bounds: `min` at rest, one more for every two that wait, never more than `max`. Who
 * waits is let in, first come first served, as soon as a slot is free or a new one is justified.
 */
export class WorkerSlots {
  readonly #min: number;
  readonly #max: number;
  readonly #waiters = new Set<Waiter>();
  #busy = 0;
  /** Called when a slot may have become free for who does not wait in line. */
  onFree: () => void = () => {};

  constructor({ min, max }: { readonly min: number; readonly max: number }) {
    if (!(min >= 1 && max >= min)) throw new RangeError("slots: 1 <= min <= max");
    this.#min = min;
    this.#max = max;
  }

  /** Waits for a slot; dispose it to give it back. @throws the signal's reason. */
  async acquire(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { admit: resolve };
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
    return this.#slot();
  }

  /** A slot if one is free now. @param queued how many wait besides those in line. */
  tryAcquire(queued: number): Disposable | null {
    if (this.#waiters.size > 0 || this.#busy >= this.#target(queued)) return null;
    this.#busy += 1;
    return this.#slot();
  }

  counts(queued = 0): SlotCounts {
    return { slots: Math.max(this.#target(queued), this.#busy), busy: this.#busy, waiting: this.#waiters.size };
  }

  #target(queued: number): number {
    const waiting = this.#waiters.size + queued;
    return Math.min(this.#max, this.#min + Math.floor(waiting / PER_SLOT));
  }

  /** Taken in the moment of being let in, so that two can never get the same. */
  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#busy >= this.#target(0)) return;
      this.#waiters.delete(waiter);
      this.#busy += 1;
      waiter.admit();
    }
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#busy -= 1;
        this.#admit();
        this.onFree();
      },
    };
  }
}
