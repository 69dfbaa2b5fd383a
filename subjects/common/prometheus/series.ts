import type { Labels } from "./labels.ts";
import type { Samples, SourceSeries } from "./promql/source.ts";

const INITIAL_CAPACITY = 32;

/** Samples of one series, in order of time. A stale marker says: from here on it does not exist. */
export class Series implements SourceSeries {
  readonly labels: Labels;
  #times = new Float64Array(INITIAL_CAPACITY);
  #values = new Float64Array(INITIAL_CAPACITY);
  /** Beside the values, because JavaScript may change the bits of a NaN, by which Prometheus marks it. */
  #stale = new Uint8Array(INITIAL_CAPACITY);
  #start = 0;
  #end = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  get sampleCount(): number {
    return this.#end - this.#start;
  }

  get lastTimeMs(): number {
    return this.#end === this.#start ? -Infinity : (this.#times[this.#end - 1] as number);
  }

  get firstTimeMs(): number {
    return this.#end === this.#start ? Infinity : (this.#times[this.#start] as number);
  }

  /** False = not newer than the last sample, and therefore dropped. */
  append(timeMs: number, value: number, stale = false): boolean {
    if (timeMs <= this.lastTimeMs) return false;
    if (this.#end === this.#times.length) this.#makeRoom();
    this.#times[this.#end] = timeMs;
    this.#values[this.#end] = value;
    this.#stale[this.#end] = stale ? 1 : 0;
    this.#end++;
    return true;
  }

  dropBefore(timeMs: number): void {
    this.#start = this.#firstAfter(timeMs - 1);
  }

  /** Samples in (from, to], not copied. */
  between(fromMs: number, toMs: number): Samples {
    const [low, high] = [this.#firstAfter(fromMs), this.#firstAfter(toMs)];
    const stale = this.#stale.subarray(low, high);
    return {
      times: this.#times.subarray(low, high),
      values: this.#values.subarray(low, high),
      stale: stale.includes(1) ? stale : null,
    };
  }

  /** True when any sample, stale markers apart, lies within [from, to]. */
  existsWithin(fromMs: number, toMs: number): boolean {
    const { times, stale } = this.between(fromMs - 1, toMs);
    return stale === null ? times.length > 0 : stale.includes(0);
  }

  #makeRoom(): void {
    const count = this.sampleCount;
    // Reuse the room of dropped samples when it is at least half; else grow.
    const capacity = this.#start >= this.#times.length / 2 ? this.#times.length : this.#times.length * 2;
    this.#times = moved(this.#times.subarray(this.#start, this.#end), new Float64Array(capacity));
    this.#values = moved(this.#values.subarray(this.#start, this.#end), new Float64Array(capacity));
    this.#stale = moved(this.#stale.subarray(this.#start, this.#end), new Uint8Array(capacity));
    this.#start = 0;
    this.#end = count;
  }

  #firstAfter(timeMs: number): number {
    let [low, high] = [this.#start, this.#end];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] as number) <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function moved<A extends Float64Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
