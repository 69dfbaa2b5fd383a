import type { Readable } from "node:stream";

/**
 * All bytes of a stream. By its events: for a small message Node's async iterator costs more than everything else.
 *
 * @param maxBytes more than that end the stream and give null.
 * @throws what the stream fails with; Error when it breaks off.
 */
export function collect(stream: Readable, maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer | null> {
  return new Promise((done, failed) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      done(null);
      stream.destroy();
    });
    stream.once("end", () => done(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    stream.once("error", failed);
    // After an end it changes nothing.
    stream.once("close", () => failed(new Error("it broke off")));
    if (stream.destroyed) failed(new Error("it broke off"));
  });
}
