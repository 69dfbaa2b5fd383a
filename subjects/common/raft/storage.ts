import type { Entry, HardState, RaftSnapshot } from "./types.ts";

/** What one group wants on disk. Missing parts stay as they are. */
export interface GroupUpdate {
  readonly group: number;
  readonly hardState?: HardState | null;
  /** Consecutive; they replace everything that the log held from the first one's index on. */
  readonly entries?: readonly Entry[];
  /** Replaces the whole log. */
  readonly snapshot?: RaftSnapshot | null;
  /** The application's own bytes about the group; the last ones win. */
  readonly meta?: Buffer | null;
  /** Forgets log, snapshot and hard state; `meta` stays (e.g. a tombstone). */
  readonly removed?: boolean;
}

/** All that is on disk about one group. */
export interface GroupImage {
  readonly group: number;
  readonly hardState: HardState;
  readonly snapshot: RaftSnapshot | null;
  readonly entries: readonly Entry[];
  readonly meta: Buffer | null;
}

/** Durable logs of any number of groups. Calls must not overlap: `RaftRunner` sees to that. */
export interface RaftStorage extends AsyncDisposable {
  /** Bytes since the last `rewrite`: the caller decides when to rewrite. */
  readonly sizeBytes: number;
  /** Resolves when all of it survives a kill at any instant (one fsync for all groups). @throws StoreError */
  write(updates: readonly GroupUpdate[]): Promise<void>;
  /** Replaces everything by these images, atomically. @throws StoreError */
  rewrite(images: readonly GroupImage[]): Promise<void>;
}
