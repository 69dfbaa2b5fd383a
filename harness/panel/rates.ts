import { PLANES, type Plane } from "../control/planes.ts";

const WINDOW_MS = 60_000;

interface Sample {
  readonly atMs: number;
  readonly counts: Readonly<Record<Plane, number>>;
}

/** Commands per minute of each plane, from counters that begin anew with their server. */
export interface Rates {
  add(atMs: number, counts: Readonly<Record<Plane, number>>): void;
  /** Null until there are two samples. */
  perMinute(plane: Plane): number | null;
}

export function openRates(): Rates {
  let samples: readonly Sample[] = [];
  return {
    add: (atMs, counts) => {
      const last = samples.at(-1);
      const anew = last !== undefined && PLANES.some((plane) => counts[plane] < last.counts[plane]);
      // One sample from before the window stays: it is where the window begins.
      const begins = samples.findLastIndex((sample) => atMs - sample.atMs >= WINDOW_MS);
      samples = [...(anew ? [] : samples.slice(Math.max(0, begins))), { atMs, counts }];
    },
    perMinute: (plane) => {
      const [first, last] = [samples[0], samples.at(-1)];
      if (first === undefined || last === undefined || first === last) return null;
      const counted = last.counts[plane] - first.counts[plane];
      // Over less than a minute the number is what it is: two commands in ten seconds are not twelve a minute.
      const spanMs = Math.max(WINDOW_MS, last.atMs - first.atMs);
      return (counted * WINDOW_MS) / spanMs;
    },
  };
}
