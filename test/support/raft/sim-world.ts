import type { Random } from "../../../harness/base/random.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  run(): void;
}

/** Virtual time: what is to happen, in order. Two schedules with the same seed are the same to the last event. */
export class SimWorld {
  now = 0;
  steps = 0;
  readonly random: Random;
  /** Null = nobody looks at it. */
  readonly trace: string[] | null;
  readonly #heap: Event[] = [];
  #order = 0;
  #moment = 0;

  constructor(random: Random, traced: boolean) {
    this.random = random;
    this.trace = traced ? [] : null;
  }

  /** An instant of its own, later than all before: for histories. */
  stamp(): number {
    return ++this.#moment;
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + ms, order: this.#order++, run };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent])) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  note(text: () => string): void {
    this.trace?.push(`${this.now.toFixed(1).padStart(9)} ${text()}`);
  }

  /** Runs what is due until `until`, promises included. */
  async run(until: number, isOver: () => boolean = () => false): Promise<void> {
    while (this.#heap.length > 0 && (this.#heap[0] as Event).at <= until && !isOver()) {
      const event = this.#pop();
      this.now = event.at;
      this.steps++;
      event.run();
      if (this.#promised) {
        this.#promised = false;
        // A runner goes on after a write by way of a few promises.
        for (let turn = 0; turn < 12; turn++) await Promise.resolve();
      }
    }
    this.now = Math.max(this.now, until);
  }

  #promised = false;

  /** A promise that somebody waits for is being settled by the present event. */
  settles(): void {
    this.#promised = true;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child])) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Event, b: Event | undefined): boolean {
  return b !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order));
}
