import type { StoreView } from "./stores.ts";

/** Speed is taken over the last ten minutes (tikv/pd:pkg/progress/progress.go). */
const WINDOW_MS = 600_000;

interface Draining {
  /** MiB that were there when it began. */
  readonly total: number;
  readonly samples: { readonly atMs: number; readonly left: number }[];
}

export interface StoreProgress {
  readonly storeId: number;
  /** 0 to 1; NaN when there was nothing to begin with, as in PD. */
  readonly progress: number;
  /** MiB a second. */
  readonly speed: number;
  readonly leftSeconds: number;
}

/** How far stores that are to go have been emptied. In memory of the leader. */
export class RemovingProgress {
  readonly #timeFactor: number;
  readonly #draining = new Map<number, Draining>();

  constructor(timeFactor: number) {
    this.#timeFactor = timeFactor;
  }

  clear(): void {
    this.#draining.clear();
  }

  /** Takes a sample of every store that is Offline, and forgets the others. */
  sample(stores: readonly StoreView[], nowMs: number): void {
    const leaving = stores.filter(({ meta }) => meta.state === 1);
    for (const id of this.#draining.keys()) if (leaving.every(({ meta }) => meta.id !== id)) this.#draining.delete(id);
    for (const { meta, regionSize } of leaving) {
      const known = this.#draining.get(meta.id) ?? { total: regionSize, samples: [] };
      this.#draining.set(meta.id, known);
      known.samples.push({ atMs: nowMs, left: regionSize });
      while ((known.samples[0]?.atMs ?? nowMs) < nowMs - WINDOW_MS * this.#timeFactor) known.samples.shift();
    }
  }

  all(): StoreProgress[] {
    return [...this.#draining].map(([storeId, { total, samples }]) => {
      const [first, last] = [samples[0], samples.at(-1)];
      const left = last?.left ?? total;
      const seconds = ((last?.atMs ?? 0) - (first?.atMs ?? 0)) / 1_000;
      const speed = seconds > 0 ? Math.max(0, (first?.left ?? left) - left) / seconds : 0;
      // Go's largest float stands for "for ever".
      return {
        storeId,
        progress: (total - left) / total,
        speed,
        leftSeconds: speed > 0 ? left / speed : Number.MAX_VALUE,
      };
    });
  }
}
