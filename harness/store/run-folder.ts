import { createWriteStream, type WriteStream } from "node:fs";
import { open, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { z } from "zod";
import { errorText, HarnessError, StoreError } from "../base/errors.ts";
import { makeFolder } from "../base/make-folder.ts";
import type { Operation } from "../protocol.ts";
import { recordSchema, type TrialRecord } from "./record.ts";

const FINAL_STATE = "final.json";
const finalSchema = z.record(z.string(), z.string()).nullable();

/** One trial's folder. See README.md for its files. */
export class RunFolder implements AsyncDisposable {
  readonly path: string;
  readonly #streams = new Map<string, WriteStream>();

  private constructor(path: string) {
    this.path = path;
  }

  /** @throws StoreError when the folder cannot be made. */
  static async create(path: string): Promise<RunFolder> {
    try {
      makeFolder(path);
      return new RunFolder(path);
    } catch (error) {
      throw new StoreError(`cannot make the run folder ${path}: ${errorText(error)}; choose another with --runs`, {
        cause: error,
      });
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Whole and at once: a reader sees the old record or the new one, also after a power cut. */
  async save(record: TrialRecord): Promise<void> {
    const temporary = this.file("record.json.part");
    try {
      await using file = await open(temporary, "w");
      await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
      await file.sync();
      await rename(temporary, this.file("record.json"));
    } catch (error) {
      throw new StoreError(`cannot save ${this.file("record.json")}: ${errorText(error)}`, { cause: error });
    }
  }

  /** What was read back at the end; null = it could not be read. Kept, so that a better checker can judge old runs. */
  async saveFinal(final: ReadonlyMap<string, string> | null): Promise<void> {
    await writeFile(this.file(FINAL_STATE), `${JSON.stringify(final === null ? null : Object.fromEntries(final))}\n`);
  }

  /** Appends one JSON line to `name`; ordered, buffered, on disk once the folder has been disposed. */
  append(name: "history.jsonl" | "events.jsonl", value: unknown): void {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = createWriteStream(this.file(name), { flags: "a" });
      this.#streams.set(name, stream);
    }
    stream.write(`${JSON.stringify(value)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#streams.values()];
    this.#streams.clear();
    await Promise.all(
      open.map(async (stream) => {
        stream.end();
        await finished(stream);
      }),
    );
  }
}

/** @throws HarnessError `not-found` where there is no run; StoreError naming the file and what is wrong in it. */
export async function readRecord(folder: string): Promise<TrialRecord> {
  const path = join(folder, "record.json");
  let raw: unknown;
  try {
    raw = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? ""))
      throw new HarnessError("not-found", `there is no run at ${folder}: it has no record.json`, { cause: error });
    throw new StoreError(`cannot read ${path}: ${errorText(error)}`, { cause: error });
  }
  const parsed = recordSchema.safeParse(raw);
  if (!parsed.success) throw new StoreError(`${path} is not a trial's record:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

export interface RunData {
  readonly history: readonly Operation[];
  readonly final: ReadonlyMap<string, string> | null;
}

/** What the checkers judge. A last line that a crash cut is left out. @throws StoreError when a file cannot be read. */
export async function readRunData(folder: string): Promise<RunData> {
  try {
    const history = (await readFile(join(folder, "history.jsonl"), "utf8"))
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Operation);
    const final = finalSchema.parse(JSON.parse(await readFile(join(folder, FINAL_STATE), "utf8")));
    return { history, final: final === null ? null : new Map(Object.entries(final)) };
  } catch (error) {
    throw new StoreError(`cannot read the data of ${folder}: ${errorText(error)}`, { cause: error });
  }
}
