/** Longest frame that is taken: a Raft snapshot of a region that has not been split in time. */
const MAX_FRAME_BYTES = 256 * 1024 * 1024;

/**
 * Cuts a stream of bytes into frames: a header that ends with four bytes of length, big-endian, then the frame. gRPC's
 * header has a byte before the length (compressed or not; never is, as nobody asks for it).
 */
export class FrameReader {
  readonly #headerBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #length: number | null = null;

  constructor(headerBytes: 4 | 5 = 4) {
    this.#headerBytes = headerBytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole frame, or null. @throws RangeError when the length is absurd. */
  next(): Buffer | null {
    if (this.#length === null) {
      if (this.#bytes < this.#headerBytes) return null;
      this.#length = this.#take(this.#headerBytes).readUInt32BE(this.#headerBytes - 4);
      if (this.#length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${this.#length} bytes is too long`);
    }
    if (this.#bytes < this.#length) return null;
    const frame = this.#take(this.#length);
    this.#length = null;
    return frame;
  }

  #take(bytes: number): Buffer {
    this.#bytes -= bytes;
    const first = this.#chunks[0];
    if (first === undefined || bytes === 0) return Buffer.alloc(0);
    if (first.length > bytes) {
      this.#chunks[0] = first.subarray(bytes);
      return first.subarray(0, bytes);
    }
    const parts: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      const chunk = this.#chunks.shift() as Buffer;
      parts.push(chunk.subarray(0, missing));
      if (chunk.length > missing) this.#chunks.unshift(chunk.subarray(missing));
      missing -= Math.min(missing, chunk.length);
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes);
  }
}
