import { closeSync, fdatasync, openSync, writeSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { errorText, StoreError } from "../../../harness/base/errors.ts";
import { decodeUpdates, encodeUpdates } from "./update-codec.ts";
import { GroupImages } from "./group-images.ts";
import type { GroupImage, GroupUpdate, RaftStorage } from "./storage.ts";

const SUFFIX = ".raftlog";
const HEADER_BYTES = 8;
const syncData = promisify(fdatasync);

/**
 * Groups in one append-only file `<n>.raftlog`. A record (length, CRC-32, updates) is one batch: after a crash it is
 * there as a whole or not at all. A rewrite makes file n + 1 beside it and renames it into place.
 */
export class FileRaftStorage implements RaftStorage {
  readonly #folder: string;
  #number: number;
  #fd: number;
  #grownBytes = 0;

  private constructor(folder: string, number: number, fd: number) {
    this.#folder = folder;
    this.#number = number;
    this.#fd = fd;
  }

  /**
   * Opens or creates the folder. A torn last record was never acknowledged and is cut off.
   * @throws StoreError when the file is damaged anywhere else.
   */
  static async open(
    folder: string,
  ): Promise<{ readonly storage: FileRaftStorage; readonly found: ReadonlyMap<number, GroupImage> }> {
    await mkdir(folder, { recursive: true });
    const names = await readdir(folder);
    const numbers = names.filter((name) => name.endsWith(SUFFIX)).map((name) => Number.parseInt(name, 10));
    const number = Math.max(1, ...numbers);
    const path = pathOf(folder, number);
    for (const name of names) if (join(folder, name) !== path) await rm(join(folder, name));
    const images = new GroupImages();
    const bytes = numbers.length === 0 ? Buffer.alloc(0) : await readFile(path);
    const good = replay(bytes, path, (updates) => images.apply(updates));
    if (good < bytes.length) await truncate(path, good);
    const storage = new FileRaftStorage(folder, number, openSync(path, "a", 0o600));
    await syncFolder(folder);
    storage.#grownBytes = good;
    return { storage, found: images.all() };
  }

  get sizeBytes(): number {
    return this.#grownBytes;
  }

  async write(updates: readonly GroupUpdate[]): Promise<void> {
    try {
      this.#grownBytes += append(this.#fd, updates);
      await syncData(this.#fd);
    } catch (error) {
      throw new StoreError(`raft log cannot be written: ${errorText(error)}`, { cause: error });
    }
  }

  async rewrite(images: readonly GroupImage[]): Promise<void> {
    try {
      const path = pathOf(this.#folder, this.#number + 1);
      const fd = openSync(`${path}.tmp`, "w", 0o600);
      append(fd, images);
      await syncData(fd);
      await rename(`${path}.tmp`, path);
      await syncFolder(this.#folder);
      closeSync(this.#fd);
      await rm(pathOf(this.#folder, this.#number));
      this.#fd = fd;
      this.#number++;
      this.#grownBytes = 0;
    } catch (error) {
      throw new StoreError(`raft log cannot be rewritten: ${errorText(error)}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    closeSync(this.#fd);
    return Promise.resolve();
  }
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(16, "0")}${SUFFIX}`);
}

function append(fd: number, updates: readonly GroupUpdate[]): number {
  const payload = encodeUpdates(updates);
  const record = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  record.writeUInt32LE(payload.length, 0);
  record.writeUInt32LE(crc32(payload), 4);
  payload.copy(record, HEADER_BYTES);
  for (let at = 0; at < record.length;) at += writeSync(fd, record, at);
  return record.length;
}

/** @returns the number of good bytes. */
function replay(bytes: Buffer, path: string, apply: (updates: readonly GroupUpdate[]) => void): number {
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
    const payload = bytes.subarray(at + HEADER_BYTES, end);
    if (end > bytes.length) break;
    if (crc32(payload) !== bytes.readUInt32LE(at + 4)) {
      if (end < bytes.length) throw new StoreError(`raft log ${path} is damaged at byte ${at}`);
      break;
    }
    apply(decodeUpdates(payload));
    at = end;
  }
  return at;
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
