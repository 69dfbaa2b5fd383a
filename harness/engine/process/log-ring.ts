import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { StringDecoder } from "node:string_decoder";
import { makeFolder } from "../../base/make-folder.ts";
import type { Clock, EpochMs, LogLine } from "../../protocol.ts";

type Stream = LogLine["stream"];

/** Docker cuts at 16 KiB too. */
const MAX_LINE_CHARS = 16_384;
const DEFAULT_MAX_FILE_BYTES = 8 * 1024 * 1024;

export interface LogRingOptions {
  readonly folder: string;
  readonly component: string;
  readonly clock: Clock;
  /** Applied to every line before it is kept, e.g. to take our own paths out of a stack trace. */
  readonly clean: (text: string) => string;
  readonly maxFileBytes?: number;
}

/**
 * One component's output on disk, both streams, stamped when it arrived. Keeps the newest one to two times
 * `maxFileBytes`; survives restarts of the component.
 */
export class LogRing {
  readonly #options: LogRingOptions;
  readonly #file: string;
  readonly #partial = new Map<Stream, { decoder: StringDecoder; rest: string }>();
  #fd: number | null = null;
  #bytes = 0;
  /** How often the file has become the older one. */
  #turns = 0;

  constructor(options: LogRingOptions) {
    this.#options = options;
    this.#file = path.join(options.folder, `${options.component}.jsonl`);
    makeFolder(options.folder, 0o700);
  }

  push(stream: Stream, chunk: Buffer): void {
    const partial = this.#partial.get(stream) ?? { decoder: new StringDecoder("utf8"), rest: "" };
    this.#partial.set(stream, partial);
    const lines = (partial.rest + partial.decoder.write(chunk)).split("\n");
    partial.rest = lines.pop() ?? "";
    if (partial.rest.length > MAX_LINE_CHARS) {
      lines.push(partial.rest);
      partial.rest = "";
    }
    this.#write(stream, lines);
  }

  /** Keeps what came without a line end: the process is gone. */
  flush(): void {
    for (const [stream, { decoder, rest }] of this.#partial) {
      const last = rest + decoder.end();
      if (last !== "") this.#write(stream, [last]);
    }
    this.#partial.clear();
  }

  /** Oldest first. */
  async read({ tail, since }: { readonly tail?: number; readonly since?: EpochMs }): Promise<LogLine[]> {
    const texts = await this.#texts();
    const rows = texts.join("").split("\n").slice(0, -1);
    const kept = tail === undefined || since !== undefined ? rows : lastOf(rows, tail);
    const lines = kept.flatMap(parseRow).filter((line) => since === undefined || (line.at ?? 0) >= since);
    return tail === undefined ? lines : lastOf(lines, tail);
  }

  /** Both files as of one moment: read again when one became the other in between. */
  async #texts(): Promise<readonly string[]> {
    for (;;) {
      const turns = this.#turns;
      const texts = await Promise.all([`${this.#file}.1`, this.#file].map(readIfThere));
      if (turns === this.#turns) return texts;
    }
  }

  /** A new container starts with an empty log. */
  clear(): void {
    this.close();
    rmSync(this.#file, { force: true });
    rmSync(`${this.#file}.1`, { force: true });
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** Synchronous, so that whoever reads after an event sees what came before it; it only reaches the page cache. */
  #write(stream: Stream, lines: readonly string[]): void {
    if (lines.length === 0) return;
    const at = this.#options.clock.now();
    const rows = lines
      .map((line) => JSON.stringify([at, stream === "stdout" ? 1 : 2, this.#tidy(line)]) + "\n")
      .join("");
    try {
      this.#append(rows);
    } catch {
      // A full disk costs lines, as with Docker; it must not cost the node, let alone the cluster.
      this.close();
    }
  }

  #append(rows: string): void {
    if (this.#fd === null) {
      this.#fd = openSync(this.#file, "a", 0o600);
      this.#bytes = statSync(this.#file).size;
    }
    writeSync(this.#fd, rows);
    this.#bytes += rows.length;
    if (this.#bytes < (this.#options.maxFileBytes ?? DEFAULT_MAX_FILE_BYTES)) return;
    this.close();
    renameSync(this.#file, `${this.#file}.1`);
    this.#turns += 1;
  }

  #tidy(line: string): string {
    return this.#options.clean(line.endsWith("\r") ? line.slice(0, -1) : line).slice(0, MAX_LINE_CHARS);
  }
}

const lastOf = <T>(items: readonly T[], count: number): T[] => (count <= 0 ? [] : items.slice(-count));

/** Nothing for a row that a full disk cut short. */
function parseRow(row: string): LogLine[] {
  try {
    const [at, stream, text] = JSON.parse(row) as [EpochMs, 1 | 2, string];
    return [{ at, stream: stream === 1 ? "stdout" : "stderr", text }];
  } catch {
    return [];
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
