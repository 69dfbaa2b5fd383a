import { Chunk } from "./chunk.ts";
import type { Labels } from "./labels.ts";
import type { Samples, SourceSeries } from "./promql/source.ts";

const INITIAL_CAPACITY = 8;
/** As many as Prometheus puts into one. */
const CHUNK_SAMPLES = 120;

/** Samples of one series, in order of time. A stale marker says: from here on it does not exist. */
export class Series implements SourceSeries {
  readonly labels: Labels;
  /** Packed, oldest first; what comes after them is in the arrays. */
  #chunks: Chunk[] = [];
  #times = new Float64Array(INITIAL_CAPACITY);
  #values = new Float64Array(INITIAL_CAPACITY);
  /** Beside the values, because JavaScript may change the bits of a NaN, by which Prometheus marks it. */
  #stale = new Uint8Array(INITIAL_CAPACITY);
  #count = 0;
  #lastMs = -Infinity;
  /** What is older was dropped, even where it is still in a chunk. */
  #fromMs = -Infinity;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  /** Of those at the edge of the retention up to a chunk more than can be seen. */
  get sampleCount(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.count, this.#count);
  }

  get chunkCount(): number {
    return this.#chunks.length + (this.#count > 0 ? 1 : 0);
  }

  get byteSize(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteSize, OVERHEAD_BYTES + 17 * this.#times.length);
  }

  /** Of each chunk the time of its last sample and its size, oldest first. */
  get packed(): readonly { readonly lastMs: number; readonly byteSize: number }[] {
    return this.#chunks;
  }

  get lastTimeMs(): number {
    return this.#lastMs;
  }

  get firstTimeMs(): number {
    const first = this.#chunks[0]?.firstMs ?? (this.#count > 0 ? (this.#times[0] as number) : Infinity);
    return Math.max(first, this.#fromMs);
  }

  /** False = not newer than the last sample, and therefore dropped. */
  append(timeMs: number, value: number, stale = false): boolean {
    if (timeMs <= this.#lastMs) return false;
    if (this.#count === this.#times.length) this.#makeRoom();
    this.#times[this.#count] = timeMs;
    this.#values[this.#count] = value;
    this.#stale[this.#count] = stale ? 1 : 0;
    this.#count++;
    this.#lastMs = timeMs;
    return true;
  }

  dropBefore(timeMs: number): void {
    this.#fromMs = Math.max(this.#fromMs, timeMs);
    const kept = this.#chunks.findIndex((chunk) => chunk.lastMs >= timeMs);
    this.#chunks = kept === -1 ? [] : this.#chunks.slice(kept);
    if (this.#count === 0 || (this.#times[this.#count - 1] as number) >= timeMs) return;
    this.#count = 0;
  }

  /** Samples in (from, to]. Only those of chunks are copied. */
  between(fromMs: number, toMs: number): Samples {
    const after = Math.max(fromMs, this.#fromMs - 1);
    const chunks = this.#chunks.filter((chunk) => chunk.lastMs > after && chunk.firstMs <= toMs);
    const open = { times: this.#times, values: this.#values, stale: this.#stale };
    if (chunks.length === 0) return within(open, this.#count, after, toMs);
    const total = chunks.reduce((sum, chunk) => sum + chunk.count, 0);
    const withOpen = this.#count > 0 && (this.#times[0] as number) <= toMs;
    const all = room(total + (withOpen ? this.#count : 0));
    const at = chunks.reduce((next, chunk) => chunk.unpack(all, next), 0);
    if (withOpen) copy(open, this.#count, all, at);
    return within(all, all.times.length, after, toMs);
  }

  /** True when any sample, stale markers apart, lies within [from, to]. */
  existsWithin(fromMs: number, toMs: number): boolean {
    const { times, stale } = this.between(fromMs - 1, toMs);
    return stale === null ? times.length > 0 : stale.includes(0);
  }

  #makeRoom(): void {
    if (this.#count >= CHUNK_SAMPLES) {
      this.#chunks.push(
        new Chunk(
          within({ times: this.#times, values: this.#values, stale: this.#stale }, this.#count, -Infinity, Infinity),
        ),
      );
      this.#count = 0;
      return;
    }
    const larger = room(Math.min(CHUNK_SAMPLES, this.#times.length * 2));
    copy({ times: this.#times, values: this.#values, stale: this.#stale }, this.#count, larger, 0);
    [this.#times, this.#values, this.#stale] = [larger.times, larger.values, larger.stale];
  }
}

/** Of the object, its labels, its key, its three arrays and its place in the indexes, as measured. */
const OVERHEAD_BYTES = 2_500;

interface Arrays {
  readonly times: Float64Array<ArrayBuffer>;
  readonly values: Float64Array<ArrayBuffer>;
  readonly stale: Uint8Array<ArrayBuffer>;
}

function room(count: number): Arrays {
  return { times: new Float64Array(count), values: new Float64Array(count), stale: new Uint8Array(count) };
}

function copy(from: Arrays, count: number, to: Arrays, at: number): void {
  to.times.set(from.times.subarray(0, count), at);
  to.values.set(from.values.subarray(0, count), at);
  to.stale.set(from.stale.subarray(0, count), at);
}

function within({ times, values, stale }: Arrays, count: number, fromMs: number, toMs: number): Samples {
  const [low, high] = [firstAfter(times, count, fromMs), firstAfter(times, count, toMs)];
  const markers = stale.subarray(low, high);
  return {
    times: times.subarray(low, high),
    values: values.subarray(low, high),
    stale: markers.includes(1) ? markers : null,
  };
}

function firstAfter(times: Float64Array, count: number, timeMs: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
