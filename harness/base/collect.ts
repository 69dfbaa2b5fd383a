import type { Readable } from "node:stream";

/**
 * All bytes of a stream. By its events: for a small message Node's async iterator costs more than everything else.
 *
 * @param maxBytes with more than that it is null, and the rest stays unread.
 * @throws what the stream fails with; Error when it breaks off.
 */
export function collect(stream: Readable, maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer | null> {
  return new Promise((done, failed) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      stream.off("data", take);
      stream.pause();
      done(null);
    };
    stream.on("data", take);
    stream.once("end", () => done(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    stream.once("error", failed);
    // After an end it changes nothing.
    stream.once("close", () => failed(new Error("it broke off")));
    if (stream.destroyed) failed(new Error("it broke off"));
  });
}
