/** PD reserves this many at a time; the rest of a batch is lost with its leader. */
const BATCH = 1_000;
const REFILL_AT = 200;

/** One counter for store, region and peer ids. */
export class IdAllocator {
  readonly #reserve: (upTo: number) => Promise<void>;
  #next = 1;
  #upTo = 0;
  #reserving: Promise<void> | null = null;

  /** @param reserve makes it durable on a majority that no id up to this one is given out again. */
  constructor(reserve: (upTo: number) => Promise<void>) {
    this.#reserve = reserve;
  }

  /** Called when leadership begins, with what is on disk. */
  async begin(usedUpTo: number): Promise<void> {
    this.#next = usedUpTo + 1;
    this.#upTo = usedUpTo;
    await this.#extend();
  }

  /** @throws whatever reserving throws. */
  async next(): Promise<number> {
    for (;;) {
      const id = this.tryNext();
      if (id !== null) return id;
      await this.#extend();
    }
  }

  /** Null when none is at hand; more are on their way then. */
  tryNext(): number | null {
    if (this.#upTo - this.#next < REFILL_AT) this.#extend().catch(() => {});
    return this.#next <= this.#upTo ? this.#next++ : null;
  }

  #extend(): Promise<void> {
    const upTo = this.#upTo + BATCH;
    this.#reserving ??= this.#reserve(upTo)
      .then(() => {
        this.#upTo = upTo;
      })
      .finally(() => {
        this.#reserving = null;
      });
    return this.#reserving;
  }
}
