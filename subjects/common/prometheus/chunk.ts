import type { Samples } from "./promql/source.ts";

/** Bytes of one element: 0 = there are none, because all are alike. */
type Width = 0 | 1 | 2 | 4 | 8;

/**
 * Samples of one series that will not change any more, packed: times as what they differ from a regular step, values as
 * what whole numbers differ from the least of them, if there are only such; nothing at all where all are alike.
 */
export class Chunk {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly #stepMs: number;
  /** What the values are counted from, or all of them. */
  readonly #base: number;
  readonly #driftWidth: Width;
  readonly #valueWidth: Width;
  /** Drift, then values, in one piece: an array costs more than most of what is in it. */
  readonly #data: ArrayBuffer | null;
  readonly #stale: Uint8Array | null;

  constructor({ times, values, stale }: Samples) {
    this.count = times.length;
    this.firstMs = times[0] as number;
    this.lastMs = times[this.count - 1] as number;
    this.#stepMs = this.count < 2 ? 0 : Math.round((this.lastMs - this.firstMs) / (this.count - 1));
    const drift = times.map((timeMs, index) => timeMs - this.firstMs - index * this.#stepMs);
    const first = values[0] as number;
    const alike = values.every((value) => Object.is(value, first));
    this.#base = alike ? first : values.reduce((a, b) => Math.min(a, b));
    const offsets = values.map((value) => value - this.#base);
    this.#driftWidth = driftWidth(drift);
    this.#valueWidth = alike ? 0 : valueWidth(offsets, values, this.#base);
    const size = this.#valuesAt + this.count * this.#valueWidth;
    this.#data = size === 0 ? null : new ArrayBuffer(size);
    this.#driftView()?.set(drift);
    this.#valueView()?.set(this.#valueWidth === 8 ? values : offsets);
    this.#stale = stale === null ? null : stale.slice();
  }

  /** What it takes, with what JavaScript adds. */
  get byteSize(): number {
    const data = this.#data === null ? 0 : ARRAY_BYTES + this.#data.byteLength;
    return OBJECT_BYTES + data + (this.#stale === null ? 0 : ARRAY_BYTES + this.#stale.length);
  }

  /** Writes all samples into arrays, from `at` on. @returns where the next ones go */
  unpack(into: { times: Float64Array; values: Float64Array; stale: Uint8Array }, at: number): number {
    const { count } = this;
    const drift = this.#driftView();
    for (let index = 0; index < count; index++)
      into.times[at + index] = this.firstMs + index * this.#stepMs + (drift === null ? 0 : (drift[index] as number));
    const values = this.#valueView();
    if (values === null) into.values.fill(this.#base, at, at + count);
    else if (this.#valueWidth === 8) into.values.set(values, at);
    else for (let index = 0; index < count; index++) into.values[at + index] = this.#base + (values[index] as number);
    if (this.#stale !== null) into.stale.set(this.#stale, at);
    return at + count;
  }

  /** At a multiple of eight, as views of floats demand. */
  get #valuesAt(): number {
    return Math.ceil((this.count * this.#driftWidth) / 8) * 8;
  }

  #driftView(): Int16Array | Float64Array | null {
    if (this.#data === null || this.#driftWidth === 0) return null;
    return new (this.#driftWidth === 2 ? Int16Array : Float64Array)(this.#data, 0, this.count);
  }

  #valueView(): Uint8Array | Uint16Array | Uint32Array | Float64Array | null {
    if (this.#data === null || this.#valueWidth === 0) return null;
    return new VIEWS[this.#valueWidth](this.#data, this.#valuesAt, this.count);
  }
}

const VIEWS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;

/** Of the object, and of an array with its buffer, as measured in V8. */
const OBJECT_BYTES = 150;
const ARRAY_BYTES = 400;

function driftWidth(drift: Float64Array): Width {
  if (drift.every((each) => each === 0)) return 0;
  return drift.every((each) => Number.isInteger(each) && Math.abs(each) < 2 ** 15) ? 2 : 8;
}

/** Whole only where adding up would not give every value back to the last bit. */
function valueWidth(offsets: Float64Array, values: Float64Array, base: number): Width {
  for (const [index, offset] of offsets.entries())
    if (!Number.isInteger(offset) || !Object.is(base + offset, values[index])) return 8;
  const most = offsets.reduce((a, b) => Math.max(a, b));
  if (most < 2 ** 8) return 1;
  if (most < 2 ** 16) return 2;
  return most < 2 ** 32 ? 4 : 8;
}
