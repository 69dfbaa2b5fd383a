import type { Samples } from "./promql/source.ts";

/**
 * Samples of one series that will not change any more, packed: times as what they differ from a regular step, values as
 * what whole numbers differ from the least of them, if there are only such; nothing at all where all are alike.
 */
export class Chunk {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly #stepMs: number;
  /** Null = every one at its step. */
  readonly #drift: Int16Array | Float64Array | null;
  /** What the values are counted from, or all of them. */
  readonly #base: number;
  readonly #values: Offsets | Float64Array | null;
  readonly #stale: Uint8Array | null;

  constructor({ times, values, stale }: Samples) {
    this.count = times.length;
    this.firstMs = times[0] as number;
    this.lastMs = times[this.count - 1] as number;
    this.#stepMs = this.count < 2 ? 0 : Math.round((this.lastMs - this.firstMs) / (this.count - 1));
    this.#drift = packedDrift(times.map((timeMs, index) => timeMs - this.firstMs - index * this.#stepMs));
    const first = values[0] as number;
    const alike = values.every((value) => Object.is(value, first));
    this.#base = alike ? first : values.reduce((a, b) => Math.min(a, b));
    this.#values = alike ? null : (packedValues(values, this.#base) ?? values.slice());
    this.#stale = stale === null ? null : stale.slice();
  }

  /** What it takes, with what JavaScript adds. */
  get byteSize(): number {
    const arrays = [this.#drift, this.#values, this.#stale].filter((array) => array !== null);
    return arrays.reduce((sum, array) => sum + ARRAY_BYTES + array.byteLength, OBJECT_BYTES);
  }

  /** Writes all samples into arrays, from `at` on. @returns where the next ones go */
  unpack(into: { times: Float64Array; values: Float64Array; stale: Uint8Array }, at: number): number {
    const { count } = this;
    for (let index = 0; index < count; index++) into.times[at + index] = this.firstMs + index * this.#stepMs;
    const drift = this.#drift;
    if (drift !== null)
      for (let index = 0; index < count; index++)
        into.times[at + index] = (into.times[at + index] as number) + (drift[index] as number);
    const values = this.#values;
    if (values === null) into.values.fill(this.#base, at, at + count);
    else if (values instanceof Float64Array) into.values.set(values, at);
    else for (let index = 0; index < count; index++) into.values[at + index] = this.#base + (values[index] as number);
    if (this.#stale !== null) into.stale.set(this.#stale, at);
    return at + count;
  }
}

type Offsets = Uint8Array | Uint16Array | Uint32Array;

/** Of the object, and of each array with its buffer, in V8. */
const OBJECT_BYTES = 100;
const ARRAY_BYTES = 190;

function packedDrift(drift: Float64Array): Int16Array | Float64Array | null {
  if (drift.every((each) => each === 0)) return null;
  return drift.every((each) => Number.isInteger(each) && Math.abs(each) < 2 ** 15) ? Int16Array.from(drift) : drift;
}

/** Null where adding up would not give every value back to the last bit. */
function packedValues(values: Float64Array, least: number): Offsets | null {
  const offsets = values.map((value) => value - least);
  for (const [index, offset] of offsets.entries())
    if (!Number.isInteger(offset) || !Object.is(least + offset, values[index])) return null;
  const most = offsets.reduce((a, b) => Math.max(a, b));
  if (most < 2 ** 8) return Uint8Array.from(offsets);
  if (most < 2 ** 16) return Uint16Array.from(offsets);
  return most < 2 ** 32 ? Uint32Array.from(offsets) : null;
}
