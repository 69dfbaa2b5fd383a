import { readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../../harness/base/clock.ts";
import { errorText } from "../../../../harness/base/errors.ts";
import type { NodeLog } from "../node-log.ts";
import { diskSizes, diskUsage, placeholderBytes, reservedBytes, type DiskSizes, type DiskUsage } from "./disk-usage.ts";
import { allocateFile } from "./allocate-file.ts";

export interface DiskWatchOptions {
  /** The store's data folder. */
  readonly folder: string;
  /** `raftstore.capacity` in bytes; 0 = what the disk has. */
  readonly capacityBytes: number;
  /** `storage.reserve-space` in bytes; 0 = the disk is not watched. */
  readonly reserveBytes: number;
  readonly clock: Clock;
  readonly log: NodeLog;
  /** Between two looks. */
  readonly everyMs: number;
  /** How much of what is used is the log of the Raft groups, in bytes. */
  raftBytes(): number;
}

/** TiKV's name for the file that may be deleted when the disk is full (components/file_system/src/lib.rs). */
const PLACEHOLDER = "space_placeholder_file";

/**
 * How full a store's disk is. Every file below the data folder counts as used by its length, whoever put it there, so
 * that a capacity can be filled without filling the disk.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #reserved: number;
  #usage: DiskUsage = "Normal";

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#reserved = reservedBytes(this.sizes().capacity, options.reserveBytes);
  }

  /** As of the last look. */
  get usage(): DiskUsage {
    return this.#usage;
  }

  /** As of now; the placeholder is not used space. */
  sizes(): DiskSizes & { readonly raftBytes: number } {
    const { folder, capacityBytes, raftBytes } = this.#options;
    const used = folderBytes(folder) - lengthOf(join(folder, PLACEHOLDER));
    return { ...diskSizes(fileSystem(folder), capacityBytes, used), raftBytes: raftBytes() };
  }

  /** Makes the placeholder anew, where there is room beyond the reserve. */
  reserve(): void {
    const { folder, log } = this.#options;
    const path = join(folder, PLACEHOLDER);
    try {
      rmSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === "ENOENT" ? "No such file or directory (os error 2)" : errorText(error);
      log.warn("common.rs:232", `failed to remove space holder on starting: ${why}`);
    }
    if (this.#reserved === 0) return log.info("server.rs:1395", "disk space checker not enabled");
    if (this.sizes().available > this.#reserved) allocateFile(path, placeholderBytes(this.#reserved));
    else log.warn("common.rs:241", "no enough disk space left to create the place holder file");
  }

  /** Looks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#reserved === 0) return;
    while (!signal.aborted) {
      this.look();
      await this.#options.clock.sleep(this.#options.everyMs, signal).catch(() => {});
    }
  }

  /** Once; a change is logged. */
  look(): void {
    const { folder, log } = this.#options;
    const { capacity, used, available: withPlaceholder, raftBytes } = this.sizes();
    const placeholder = lengthOf(join(folder, PLACEHOLDER));
    const available = Math.min(withPlaceholder, Math.max(0, capacity - used - placeholder));
    const before = this.#usage;
    this.#usage = diskUsage(available, this.#reserved);
    if (before === this.#usage) return;
    log.warn(
      "server.rs:1471",
      `disk usage ${before}->${this.#usage} (raft engine usage: Normal, kv engine usage: ${this.#usage}), seperated raft mount=false, kv available=${available}, snap=0, kv=${used - raftBytes}, raft=${raftBytes}, capacity=${capacity}`,
    );
  }
}

function fileSystem(folder: string): { readonly totalBytes: number; readonly freeBytes: number } {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch (error) {
    throw new Error(`disk of ${folder}: ${errorText(error)}`, { cause: error });
  }
}

/** What disappears meanwhile does not count. */
function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += folderBytes(path);
    else if (entry.isFile()) bytes += lengthOf(path);
  }
  return bytes;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function lengthOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
