const FIRST_BYTES = 256;
/** A writer that is used again does not keep more. */
const MAX_REUSED_BYTES = 256 << 10;

/**
 * Builds a buffer. Numbers are doubles: exact up to 2^53, and all of ours are. Memory is never from Node's pool: log
 * entries are kept, and each would keep 8 KiB of what else the pool held at the time.
 */
export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  #room(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, at + bytes));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = at + bytes;
    return at;
  }

  byte(value: number): this {
    const at = this.#room(1);
    this.#buffer[at] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  number(value: number): this {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
    return this;
  }

  numbers(values: readonly number[]): this {
    this.u32(values.length);
    for (const value of values) this.number(value);
    return this;
  }

  /** Length first. */
  bytes(value: Uint8Array): this {
    this.u32(value.length);
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** A string of one character a byte, length first. */
  latin1(text: string): this {
    this.u32(text.length);
    const at = this.#room(text.length);
    this.#buffer.write(text, at, "latin1");
    return this;
  }

  /** The result shares the writer's memory: write no more after it. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A copy for what is not kept long, from Node's pool; the writer begins anew, with the memory that it has. */
  take(): Buffer {
    const taken = Buffer.from(this.done());
    this.clear();
    return taken;
  }

  /** Begins anew, with the memory that it has: what `done` gave is no longer valid. */
  clear(): this {
    this.#length = 0;
    if (this.#buffer.length > MAX_REUSED_BYTES) this.#buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return this;
  }
}

/** Reads what `ByteWriter` wrote. @throws RangeError beyond the end. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get left(): number {
    return this.#buffer.length - this.#at;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.left) throw new RangeError(`${bytes} bytes wanted, ${this.left} left`);
    this.#at = at + bytes;
    return at;
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  /** What `pass` reads from here on, for itself: a copy with memory of its own. */
  detached(pass: () => void): ByteReader {
    const from = this.#at;
    pass();
    const own = Buffer.allocUnsafeSlow(this.#at - from);
    this.#buffer.copy(own, 0, from, this.#at);
    return new ByteReader(own);
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  number(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  numbers(): number[] {
    return Array.from({ length: this.u32() }, () => this.number());
  }

  /** A copy with memory of its own: what it came from may be a large buffer that should not be kept alive. */
  bytes(): Buffer {
    const shared = this.view();
    const own = Buffer.allocUnsafeSlow(shared.length);
    shared.copy(own);
    return own;
  }

  /** Bytes as a string, one character each. */
  latin1(): string {
    return this.view().toString("latin1");
  }

  /** As `bytes`, but in the memory that is being read: not to be kept. */
  view(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }
}
