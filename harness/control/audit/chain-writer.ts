import { writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { isoTime } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Deps } from "../../protocol.ts";
import { chainFilePath, chainFiles } from "./chain-files.ts";
import { AuditError } from "./errors.ts";
import { encodeLine, hashOf, type AuditBody, type AuditRecord } from "./line.ts";
import type { AuditAnchor, AuditEntry, AuditHead } from "./types.ts";

export interface ChainOptions {
  readonly folder: string;
  readonly writer: string;
  readonly key: Buffer;
  readonly anchors: readonly AuditAnchor[];
  readonly maxFileBytes: number;
  readonly head: AuditHead;
}

/** A line to be, made with the number that it gets. */
export type LineMaker = (seq: number) => AuditBody;

interface Waiting {
  readonly lines: readonly LineMaker[];
  /** Kept when it cannot be written, and written before anything else once it can. */
  readonly owed: boolean;
  readonly done: (first: number) => void;
  readonly failed: (error: AuditError) => void;
}

/**
 * Appends lines to a chain. Lines of callers that come while a group is on its way to the disk go together in the next
 * one: one write and one fsync for all of them. Numbers and hashes are given when the group is written, so a group that
 * failed leaves no hole.
 */
export class ChainWriter {
  readonly #options: ChainOptions;
  readonly #deps: Pick<Deps, "clock" | "log">;
  #file: FileHandle;
  #size: number;
  #head: AuditHead;
  #waiting: Waiting[] = [];
  #owed: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #failing: string | null = null;
  /** After a failed fsync nobody knows what is on disk: only opening the chain again can tell. */
  #broken: AuditError | null = null;

  private constructor(
    options: ChainOptions,
    deps: Pick<Deps, "clock" | "log">,
    file: { readonly handle: FileHandle; readonly size: number },
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#file = file.handle;
    this.#size = file.size;
    this.#head = options.head;
  }

  static async open(options: ChainOptions, deps: Pick<Deps, "clock" | "log">): Promise<ChainWriter> {
    const last = chainFiles(options.folder).at(-1);
    if (last === undefined) {
      const handle = await newFile(options.folder, options.head.seq + 1);
      return new ChainWriter(options, deps, { handle, size: 0 });
    }
    const handle = await open(last.path, "a");
    return new ChainWriter(options, deps, { handle, size: (await handle.stat()).size });
  }

  get writer(): string {
    return this.#options.writer;
  }

  get head(): AuditHead {
    return this.#head;
  }

  /** Null while lines can be written. */
  get failing(): string | null {
    return this.#failing;
  }

  /** Lines that belong together, in one group. @returns the first one's number, once all are on disk. @throws AuditError */
  append(lines: readonly LineMaker[], { owed = false }: { readonly owed?: boolean } = {}): Promise<number> {
    return new Promise((done, failed) => {
      this.#waiting.push({ lines, owed, done, failed });
      this.#writing ??= this.#drain();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #drain(): Promise<void> {
    // Callers of the same turn come along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = [...this.#owed, ...this.#waiting];
      this.#waiting = [];
      this.#owed = [];
      await this.#writeGroup(group);
    }
    this.#writing = null;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    let firsts: readonly number[];
    try {
      if (this.#broken !== null) throw this.#broken;
      if (this.#size >= this.#options.maxFileBytes) await this.#startNextFile();
      firsts = await this.#writeLines(group);
    } catch (cause) {
      this.#owed = group.filter(({ owed }) => owed);
      return this.#fail(group, cause);
    }
    try {
      for (const anchor of this.#options.anchors) anchor.write(this.#options.key, this.writer, this.#head);
    } catch (cause) {
      // On disk, and yet refused: whoever is told so does not act, and the chain says that once it can.
      this.#owed = group.flatMap(({ lines }, index) => refusals(lines, firsts[index] as number));
      return this.#fail(group, cause);
    }
    this.#failing = null;
    for (const [index, { done }] of group.entries()) done(firsts[index] as number);
  }

  #fail(group: readonly Waiting[], cause: unknown): void {
    const error =
      cause instanceof AuditError
        ? cause
        : new AuditError(
            `the audit in ${this.#options.folder} cannot be written (${errorText(cause)}): no command runs until it can`,
            { cause },
          );
    if (this.#failing === null) this.#deps.log.error("audit.failing", { why: error.message });
    this.#failing = error.message;
    for (const { failed } of group) failed(error);
  }

  async #writeLines(group: readonly Waiting[]): Promise<readonly number[]> {
    const at = isoTime(this.#deps.clock.now());
    const { writer, key } = this.#options;
    let head = this.#head;
    const text: string[] = [];
    const firsts = group.map(({ lines }) => {
      const first = head.seq + 1;
      for (const make of lines) {
        const seq = head.seq + 1;
        const line = encodeLine({ seq, prev: head.hash, at, writer, ...make(seq) } as AuditRecord, key);
        head = { seq, hash: hashOf(line) };
        text.push(line, "\n");
      }
      return first;
    });
    await this.#appendBytes(Buffer.from(text.join(""), "utf8"));
    this.#head = head;
    return firsts;
  }

  /** All of it on disk, or none of it in the file. */
  async #appendBytes(bytes: Buffer): Promise<void> {
    try {
      // Into the system's cache, which takes less time than asking another thread to do it; the disk is waited for below.
      for (let written = 0; written < bytes.length;)
        written += writeSync(this.#file.fd, bytes, written, bytes.length - written);
    } catch (error) {
      await this.#file.truncate(this.#size).catch((why: unknown) => this.#break(why));
      throw error;
    }
    await this.#file.datasync().catch((why: unknown) => this.#break(why));
    this.#size += bytes.length;
  }

  #break(why: unknown): never {
    this.#broken = new AuditError(
      `the audit in ${this.#options.folder} is in doubt (${errorText(why)}): no command runs until this program has been started again`,
      { cause: why },
    );
    throw this.#broken;
  }

  async #startNextFile(): Promise<void> {
    const next = await newFile(this.#options.folder, this.#head.seq + 1);
    const full = this.#file;
    this.#file = next;
    this.#size = 0;
    await full.close();
  }
}

/** For every intent among the lines: it was never executed. */
function refusals(lines: readonly LineMaker[], first: number): Waiting[] {
  return lines.flatMap((make, index) => {
    const intent = make(first + index);
    if (intent.kind !== "intent") return [];
    const of = first + index;
    // A refusal that stands beside its intent is on disk as well.
    if (lines.some((other, at) => isOutcomeOf(other(first + at), of))) return [];
    const { plane, caller, command, target, effect, incident, commandId } = intent;
    const outcome: AuditBody = {
      kind: "outcome",
      of,
      ...({ plane, caller, command, target, effect, incident, commandId } satisfies AuditEntry),
      verdict: "refused",
      code: "audit-failed",
      why: "its intent could not be anchored",
    };
    return [{ lines: [() => outcome], owed: true, done: () => {}, failed: () => {} }];
  });
}

const isOutcomeOf = (body: AuditBody, of: number): boolean => body.kind === "outcome" && body.of === of;

/** Its name is on disk before its first line. */
async function newFile(folder: string, first: number): Promise<FileHandle> {
  // "a" and not "ax": one that was made and got no line is used.
  const file = await open(chainFilePath(folder, first), "a", 0o600);
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  return file;
}
