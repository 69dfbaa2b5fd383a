import type { EpochMs } from "../base/clock.ts";
import type { LogLine } from "../protocol.ts";

export interface Frame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Buffer;
}

const HEADER_BYTES = 8;

/**
 * Takes apart Docker's multiplexed stream: frames of `[type, 0, 0, 0, length (4 bytes)]` and payload, cut anywhere by
 * the transport.
 */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (this.#rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#rest.readUInt32BE(4);
      if (this.#rest.length < end) break;
      frames.push({ stream: this.#rest[0] === 2 ? "stderr" : "stdout", bytes: this.#rest.subarray(HEADER_BYTES, end) });
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }
}

/** Log lines of a reply with timestamps; a terminal's output (`tty`) comes without frames. */
export function parseLogs(body: Buffer, tty: boolean): LogLine[] {
  const frames: Frame[] = tty ? [{ stream: "stdout", bytes: body }] : new FrameReader().push(body);
  return frames.flatMap(({ stream, bytes }) =>
    bytes
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => parseLine(stream, line.replace(/\r$/, ""))),
  );
}

function parseLine(stream: LogLine["stream"], line: string): LogLine {
  const space = line.indexOf(" ");
  const at = Date.parse(line.slice(0, space));
  if (space < 0 || Number.isNaN(at)) return { stream, at: null, text: line };
  return { stream, at: at as EpochMs, text: line.slice(space + 1) };
}
