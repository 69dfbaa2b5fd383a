import { once } from "node:events";
import type { Duplex } from "node:stream";
import { FrameReader } from "./frame-reader.ts";

/** First bytes of a connection between nodes; no HTTP request starts like this. */
export const PEER_PREFACE = Buffer.from([0x00, 0x50, 0x45, 0x45, 0x52, 0x00, 0x00, 0x01]);

const HEADER_BYTES = 4;
const PING = Buffer.alloc(0);
/** Frames up to here are copied together, so that many cost one call of the system. */
const COPIED_BYTES = 64 << 10;

/** Who dials, and for which cluster: the first frame. */
export interface Hello {
  readonly name: string;
  readonly cluster: string;
}

/**
 * Frames over one connection between nodes: four bytes of length, then the frame. The side that dialled sends the
 * preface, a hello and then its frames; an empty frame is a ping and is answered by an empty frame.
 */
export class PeerConnection {
  readonly #duplex: Duplex;
  readonly #reader = new FrameReader();

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.on("error", () => {});
  }

  /** In this order. @returns false when the sender should wait for `drained` before the next ones. */
  send(frames: readonly Buffer[]): boolean {
    if (this.#duplex.destroyed) return true;
    const total = frames.reduce((sum, { length }) => sum + HEADER_BYTES + length, 0);
    if (total <= COPIED_BYTES) return this.#duplex.write(joined(frames, total));
    this.#duplex.cork();
    for (const frame of frames) {
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      header.writeUInt32BE(frame.length);
      this.#duplex.write(header);
      if (frame.length > 0) this.#duplex.write(frame);
    }
    this.#duplex.uncork();
    return !this.#duplex.writableNeedDrain;
  }

  ping(): void {
    this.send([PING]);
  }

  sendHello(hello: Hello): void {
    this.#duplex.write(PEER_PREFACE);
    this.send([Buffer.from(JSON.stringify(hello))]);
  }

  /** Resolves when more may be sent; rejects when the connection is gone or the signal aborts. */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#duplex.writableNeedDrain) await once(this.#duplex, "drain", { signal });
  }

  /** The first frame of a dialled connection, once the preface has been taken off. @throws when it is not a hello. */
  static parseHello(frame: Buffer): Hello {
    const { name, cluster } = JSON.parse(frame.toString("utf8")) as Partial<Record<string, unknown>>;
    if (typeof name !== "string" || typeof cluster !== "string") throw new TypeError("a peer did not say who it is");
    return { name, cluster };
  }

  /**
   * Every frame as it comes, until the connection ends; pings are passed on too, or answered. The frame is the
   * receiver's to keep. Not a generator over a generator: a frame that came with others costs one promise.
   */
  frames(pings: "passed-on" | "answered"): AsyncIterableIterator<Buffer, void> {
    const chunks = this.#chunks();
    const next = async (): Promise<IteratorResult<Buffer, void>> => {
      for (;;) {
        const frame = this.#reader.next();
        if (frame?.length === 0 && pings === "answered") {
          this.ping();
          continue;
        }
        if (frame !== null) return { done: false, value: frame };
        const chunk = await chunks.next();
        if (chunk.done === true) return { done: true, value: undefined };
        this.#reader.push(chunk.value);
      }
    };
    const end = async (): Promise<IteratorResult<Buffer, void>> => {
      await chunks.return();
      return { done: true, value: undefined };
    };
    const frames = { next, return: end, [Symbol.asyncIterator]: () => frames };
    return frames;
  }

  async *#chunks(): AsyncGenerator<Buffer, void> {
    try {
      yield* this.#duplex as AsyncIterable<Buffer>;
    } catch {
      // A connection that breaks has ended: nobody is owed more than that.
    }
  }

  close(): void {
    this.#duplex.destroy();
  }
}

function joined(frames: readonly Buffer[], total: number): Buffer {
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const frame of frames) {
    bytes.writeUInt32BE(frame.length, at);
    bytes.set(frame, at + HEADER_BYTES);
    at += HEADER_BYTES + frame.length;
  }
  return bytes;
}
