import { once } from "node:events";
import type { Duplex } from "node:stream";
import { z } from "zod";
import { FrameReader } from "./frame-reader.ts";

/** First bytes of a connection between nodes; no HTTP request starts like this. */
export const PEER_PREFACE = Buffer.from([0x00, 0x50, 0x45, 0x45, 0x52, 0x00, 0x00, 0x01]);

const helloSchema = z.object({ name: z.string(), cluster: z.string() });

/** Who dials, and for which cluster: the first frame. */
export type Hello = z.output<typeof helloSchema>;

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

  /** @returns false when the sender should wait for `drained` before the next one. */
  send(frame: Buffer): boolean {
    if (this.#duplex.destroyed) return true;
    const header = Buffer.allocUnsafe(4);
    header.writeUInt32BE(frame.length);
    if (frame.length === 0) return this.#duplex.write(header);
    this.#duplex.cork();
    this.#duplex.write(header);
    const go = this.#duplex.write(frame);
    this.#duplex.uncork();
    return go;
  }

  sendHello(hello: Hello): void {
    this.#duplex.write(PEER_PREFACE);
    this.send(Buffer.from(JSON.stringify(hello)));
  }

  /** Resolves when more may be sent; rejects when the connection is gone or the signal aborts. */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#duplex.writableNeedDrain) await once(this.#duplex, "drain", { signal });
  }

  /** The first frame of a dialled connection, once the preface has been taken off. @throws when it is not a hello. */
  static parseHello(frame: Buffer): Hello {
    return helloSchema.parse(JSON.parse(frame.toString("utf8")));
  }

  /** Every frame as it comes, until the connection ends. The frame is the receiver's to keep. */
  async *frames(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of this.#duplex as AsyncIterable<Buffer>) {
        this.#reader.push(chunk);
        for (let frame = this.#reader.next(); frame !== null; frame = this.#reader.next()) yield frame;
      }
    } catch {
      // A connection that breaks has ended: nobody is owed more than that.
    }
  }

  close(): void {
    this.#duplex.destroy();
  }
}
