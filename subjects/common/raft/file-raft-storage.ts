import { closeSync, fdatasync, openSync, writeSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorText, StoreError } from "../../../harness/base/errors.ts";
import { ByteWriter } from "./bytes.ts";
import { GroupImages } from "./group-images.ts";
import { encodeRecord, LOG_MAGIC, replayRecords } from "./record-log.ts";
import type { GroupImage, GroupUpdate, RaftStorage } from "./storage.ts";

const SUFFIX = ".raftlog";
const syncData = promisify(fdatasync);

/**
 * Groups in one append-only file `<n>.raftlog`, see `record-log.ts`: after a crash a batch is there as a whole or not
 * at all. A rewrite makes file n + 1 beside it and renames it into place.
 */
export class FileRaftStorage implements RaftStorage {
  readonly #folder: string;
  readonly #writer = new ByteWriter();
  #number: number;
  #fd: number;
  #grownBytes = 0;
  #failed = false;

  private constructor(folder: string, number: number, fd: number) {
    this.#folder = folder;
    this.#number = number;
    this.#fd = fd;
  }

  /**
   * Opens or creates the folder. A torn last record was never acknowledged and is dropped. What was found is written
   * anew: after a failed fsync the kernel may show bytes that are not on the disk and never will be.
   * @throws StoreError when the file is damaged, of another format, or the disk fails.
   */
  static async open(
    folder: string,
  ): Promise<{ readonly storage: FileRaftStorage; readonly found: ReadonlyMap<number, GroupImage> }> {
    await mkdir(folder, { recursive: true });
    const names = await readdir(folder);
    const numbers = names.filter((name) => name.endsWith(SUFFIX)).map((name) => Number.parseInt(name, 10));
    const number = Math.max(0, ...numbers);
    const path = pathOf(folder, number);
    for (const name of names) if (join(folder, name) !== path) await rm(join(folder, name));
    const images = new GroupImages();
    if (number > 0) replayRecords(await readFile(path), path, (updates) => images.apply(updates));
    const found = images.all();
    const storage = new FileRaftStorage(folder, number, -1);
    await storage.rewrite([...found.values()]);
    return { storage, found };
  }

  get sizeBytes(): number {
    return this.#grownBytes;
  }

  write(updates: readonly GroupUpdate[]): Promise<void> {
    return this.#guarded("written", async () => {
      this.#grownBytes += append(this.#fd, encodeRecord(updates, this.#writer.clear()));
      await syncData(this.#fd);
    });
  }

  rewrite(images: readonly GroupImage[]): Promise<void> {
    return this.#guarded("rewritten", async () => {
      const path = pathOf(this.#folder, this.#number + 1);
      const fd = openSync(`${path}.tmp`, "w", 0o600);
      append(fd, LOG_MAGIC);
      if (images.length > 0) append(fd, encodeRecord(images));
      await syncData(fd);
      await rename(`${path}.tmp`, path);
      await syncFolder(this.#folder);
      await this[Symbol.asyncDispose]();
      await rm(pathOf(this.#folder, this.#number), { force: true });
      this.#fd = fd;
      this.#number++;
      this.#grownBytes = 0;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
    return Promise.resolve();
  }

  /**
   * After a failure nobody knows what is on the disk, and a second fsync would succeed without having written what
   * the first one lost (Rebello et al., "Can Applications Recover from fsync Failures?", 2020): it is never retried.
   */
  async #guarded(what: string, work: () => Promise<void>): Promise<void> {
    if (this.#failed) throw new StoreError(`raft log cannot be ${what}: an earlier write failed`);
    try {
      await work();
    } catch (error) {
      this.#failed = true;
      throw new StoreError(`raft log cannot be ${what}: ${errorText(error)}`, { cause: error });
    }
  }
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(16, "0")}${SUFFIX}`);
}

function append(fd: number, bytes: Buffer): number {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  return bytes.length;
}

/** A rename or a new file survives a power loss only when its folder has been synced too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
