import { StoreError } from "../../../harness/base/errors.ts";
import type { Random } from "../../../harness/base/random.ts";
import { GroupImages } from "../../../subjects/common/raft/group-images.ts";
import type { GroupImage, GroupUpdate, RaftStorage } from "../../../subjects/common/raft/index.ts";
import { encodeRecord, LOG_MAGIC, replayRecords } from "../../../subjects/common/raft/record-log.ts";
import type { SimWorld } from "./sim-world.ts";

const SECTOR_BYTES = 512;

/**
 * One log file and the page cache above it, in the format of `FileRaftStorage`: what was written is there at once,
 * and survives the loss of power only after a sync. Belongs to the machine: processes come and go.
 */
export class SimDisk {
  readonly #world: SimWorld;
  readonly #random: Random;
  /** In the file, in order; those of `#synced` survive everything. */
  #pieces: Buffer[] = [];
  #synced = 0;
  #generation = 0;
  /** The next sync fails, and what it should have written is lost with the power. */
  failNext = false;
  /** Milliseconds that a sync takes, at most. */
  slownessMs: number;
  tornTails = 0;

  constructor(world: SimWorld, random: Random, slownessMs: number) {
    this.#world = world;
    this.#random = random;
    this.slownessMs = slownessMs;
  }

  /** As `FileRaftStorage.open`: what is there is written anew. @throws StoreError when the file is damaged. */
  open(): { readonly storage: RaftStorage; readonly found: ReadonlyMap<number, GroupImage> } {
    const images = new GroupImages();
    replayRecords(Buffer.concat(this.#pieces), "simulated", (updates) => images.apply(updates));
    const found = images.all();
    const generation = ++this.#generation;
    this.#replaceBy([...found.values()]);
    let grown = 0;
    const storage: RaftStorage = {
      get sizeBytes() {
        return grown;
      },
      write: (updates) => {
        const record = encodeRecord(updates);
        grown += record.length;
        this.#pieces.push(record);
        return this.#sync(generation, () => (this.#synced = this.#pieces.length));
      },
      rewrite: (copies) =>
        this.#sync(generation, () => {
          this.#replaceBy(copies);
          grown = 0;
        }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return { storage, found };
  }

  /** For planted bugs: as if it had been written and synced. */
  append(update: GroupUpdate): void {
    const { found } = this.open();
    const images = new GroupImages();
    images.apply([...found.values(), update]);
    this.#replaceBy([...images.all().values()]);
  }

  /** The process is gone in the middle of whatever it did. */
  processDies(): void {
    this.#generation++;
    // Killed within the system call that writes: a part of the bytes is in the file.
    if (this.#pieces.length > this.#synced && this.#random.int(10) === 0) this.#tear(this.#pieces.length - 1);
  }

  /** As `processDies`, and of what was not synced only a part is there: some sectors, or a beginning. */
  powerFails(): void {
    this.#generation++;
    if (this.#pieces.length === this.#synced) return;
    const kept = this.#synced + this.#random.int(this.#pieces.length - this.#synced + 1);
    this.#pieces.length = Math.min(this.#pieces.length, kept + 1);
    if (kept < this.#pieces.length) this.#tear(kept);
    this.#synced = this.#pieces.length;
  }

  #tear(piece: number): void {
    const bytes = this.#pieces[piece] as Buffer;
    const cut = this.#random.int(bytes.length);
    this.tornTails++;
    this.#pieces.length = piece + 1;
    if (this.#random.int(2) === 0 || bytes.length < 4 * SECTOR_BYTES) this.#pieces[piece] = bytes.subarray(0, cut);
    else {
      const torn = Buffer.from(bytes);
      torn.fill(0, cut);
      this.#pieces[piece] = torn.subarray(0, Math.min(torn.length, cut + 3 * SECTOR_BYTES));
    }
    if (this.#pieces[piece]?.length === 0) this.#pieces.length = piece;
  }

  #replaceBy(images: readonly GroupImage[]): void {
    this.#pieces = images.length > 0 ? [LOG_MAGIC, encodeRecord(images)] : [LOG_MAGIC];
    this.#synced = this.#pieces.length;
  }

  #sync(generation: number, done: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#world.after(this.#random.next() * this.slownessMs, () => {
        if (this.#generation !== generation) return;
        this.#world.settles();
        if (this.failNext) {
          this.failNext = false;
          reject(new StoreError("the disk failed"));
          return;
        }
        done();
        resolve();
      });
    });
  }
}
