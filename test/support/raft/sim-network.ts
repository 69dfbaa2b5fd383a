import type { SimStats } from "./sim-stats.ts";
import type { SimWorld } from "./sim-world.ts";

/** Loses, repeats, delays and thereby reorders; says nothing about it. */
export class SimNetwork {
  /** Links that carry nothing, by `linkOf`. */
  readonly cut = new Set<number>();
  loss = 0;
  repetition = 0.01;
  /** Most messages take up to this long. */
  delayMs = 8;
  /** Of all messages, those that take up to 80 times as long. */
  straggling = 0.02;
  readonly #world: SimWorld;
  readonly #stats: SimStats;
  readonly #deliver: (to: number, group: number, bytes: Buffer) => void;
  readonly #random;
  readonly #lastArrival = new Map<number, number>();

  constructor(world: SimWorld, stats: SimStats, deliver: (to: number, group: number, bytes: Buffer) => void) {
    this.#world = world;
    this.#stats = stats;
    this.#deliver = deliver;
    this.#random = world.random.fork("network");
  }

  send(group: number, from: number, to: number, bytes: Buffer): void {
    const random = this.#random;
    if (this.cut.has(linkOf(from, to)) || random.next() < this.loss) {
      this.#stats.lost++;
      return;
    }
    const copies = random.next() < this.repetition ? 2 : 1;
    if (copies === 2) this.#stats.repeated++;
    for (let copy = 0; copy < copies; copy++) {
      const delay = this.delayMs * random.next() * (random.next() < this.straggling ? 80 : 1);
      const arrival = this.#world.now + delay;
      const link = linkOf(from, to);
      if (arrival < (this.#lastArrival.get(link) ?? 0)) this.#stats.overtaken++;
      else this.#lastArrival.set(link, arrival);
      this.#world.after(delay, () => {
        if (!this.cut.has(link)) this.#deliver(to, group, bytes);
      });
    }
  }
}

export function linkOf(from: number, to: number): number {
  return from * 100 + to;
}
