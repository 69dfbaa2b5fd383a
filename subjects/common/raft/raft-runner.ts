import type { RaftNode } from "./raft-node.ts";
import type { GroupImage, GroupUpdate, RaftStorage } from "./storage.ts";
import type { Entry, RaftMessage, RaftSnapshot, ReadState, Ready, RoleState } from "./types.ts";

/** One group's side of the runner. Every method is synchronous and must not throw. */
export interface RaftGroup {
  readonly id: number;
  readonly node: RaftNode;
  send(messages: readonly RaftMessage[]): void;
  /** Committed and on disk. For `conf` entries call `node.applyConfChange`; skip `normal` ones without data. */
  apply(entries: readonly Entry[]): void;
  /** Replace the whole state machine. */
  restore(snapshot: RaftSnapshot): void;
  onRole(state: RoleState): void;
  /** Each may be answered once the state machine has reached its index; mostly it has already. */
  onReads(states: readonly ReadState[]): void;
  /** The application's own bytes about the group, for when the whole file is written anew. */
  meta?(): Buffer | null;
}

export interface RaftRunnerOptions {
  readonly storage: RaftStorage;
  /** The disk failed: nothing more will be acknowledged. The process should end. */
  onFatal(error: unknown): void;
  /** The file is written anew when it has grown by this much. */
  readonly rewriteAfterBytes?: number;
  /** Calls back soon, after what is running now; `setImmediate` unless given. */
  schedule?(turn: () => void): void;
  /** What else is to survive a rewrite: groups that are gone but left something behind. */
  otherImages?(): readonly GroupImage[];
}

interface Batch {
  readonly updates: GroupUpdate[];
  readonly readies: { readonly group: RaftGroup; readonly ready: Ready }[];
  readonly waiters: (() => void)[];
}

const REWRITE_AFTER_BYTES = 16 << 20;

/**
 * Drives any number of groups over one storage. What becomes ready in one turn of the event loop, or while a write
 * is under way, goes to disk with one fsync (group commit).
 */
export class RaftRunner {
  readonly #options: RaftRunnerOptions;
  readonly #defer: (turn: () => void) => void;
  readonly #groups = new Map<number, RaftGroup>();
  readonly #dirty = new Set<RaftGroup>();
  /** Readies of each group that wait for the disk. */
  readonly #inFlight = new Map<RaftGroup, number>();
  #next = emptyBatch();
  #scheduled = false;
  #writing = false;
  #stopped = false;

  constructor(options: RaftRunnerOptions) {
    this.#options = options;
    this.#defer = options.schedule ?? ((turn) => void setImmediate(turn));
  }

  add(group: RaftGroup): void {
    this.#groups.set(group.id, group);
    this.wake(group.id);
  }

  /** Nothing more is sent or applied for it; what is on disk stays until `write({ group, removed: true })`. */
  remove(id: number): void {
    this.#groups.delete(id);
  }

  /** To be called after `tick`, `step`, `propose` and the like. Cheap, and may be called often. */
  wake(id: number): void {
    const group = this.#groups.get(id);
    if (group === undefined || this.#stopped) return;
    this.#dirty.add(group);
    this.#schedule();
  }

  /**
   * Something of the application's own; resolves when it is on disk (when the disk fails: never). In order with
   * everything else of the group.
   */
  write(update: GroupUpdate): Promise<void> {
    return new Promise((resolve) => {
      this.#next.updates.push(update);
      this.#next.waiters.push(resolve);
      this.#schedule();
    });
  }

  /** No further work; resolves when the write that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#writing) await new Promise((resolve) => setImmediate(resolve));
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#defer(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#turn();
    });
  }

  #turn(): void {
    for (const group of this.#dirty) {
      this.#dirty.delete(group);
      while (this.#isCurrent(group) && group.node.hasReady()) this.#take(group, group.node.ready());
    }
    const { updates, readies } = this.#next;
    if (!this.#writing && updates.length + readies.length > 0) void this.#flush();
  }

  #isCurrent(group: RaftGroup): boolean {
    return this.#groups.get(group.id) === group;
  }

  #take(group: RaftGroup, ready: Ready): void {
    if (ready.roleState !== null) group.onRole(ready.roleState);
    if (ready.beforePersist.length > 0) group.send(ready.beforePersist);
    const last = ready.committed.at(-1);
    if (last !== undefined) {
      group.apply(ready.committed);
      group.node.applied(last.index);
    }
    if (ready.readStates.length > 0) group.onReads(ready.readStates);
    const { hardState, entries, snapshot } = ready;
    const writes = hardState !== null || entries.length > 0 || snapshot !== null;
    if (!writes && !this.#inFlight.has(group)) return this.#finish(group, ready);
    if (writes) this.#next.updates.push({ group: group.id, hardState, entries, snapshot });
    this.#next.readies.push({ group, ready });
    this.#inFlight.set(group, (this.#inFlight.get(group) ?? 0) + 1);
  }

  #finish(group: RaftGroup, ready: Ready): void {
    if (ready.snapshot !== null) {
      group.restore(ready.snapshot);
      group.node.applied(ready.snapshot.index);
    }
    group.node.persisted(ready);
    if (ready.messages.length > 0) group.send(ready.messages);
  }

  async #flush(): Promise<void> {
    const { updates, readies, waiters } = this.#next;
    this.#next = emptyBatch();
    this.#writing = true;
    try {
      if (updates.length > 0) await this.#options.storage.write(updates);
      if (this.#stopped) return;
      for (const { group, ready } of readies) {
        const left = (this.#inFlight.get(group) ?? 1) - 1;
        if (left === 0) this.#inFlight.delete(group);
        else this.#inFlight.set(group, left);
        if (!this.#isCurrent(group)) continue;
        this.#finish(group, ready);
        this.#dirty.add(group);
      }
      for (const resolve of waiters) resolve();
      await this.#rewriteIfDue();
    } catch (error) {
      this.#stopped = true;
      this.#options.onFatal(error);
    } finally {
      this.#writing = false;
    }
    // Straight on: whoever waits for this write has been waiting since before it began.
    if (!this.#stopped) this.#turn();
  }

  async #rewriteIfDue(): Promise<void> {
    const { storage, rewriteAfterBytes = REWRITE_AFTER_BYTES, otherImages } = this.#options;
    if (storage.sizeBytes < rewriteAfterBytes) return;
    const images: GroupImage[] = [...(otherImages?.() ?? [])];
    for (const group of this.#groups.values()) {
      const image = group.node.image();
      // A snapshot is on its way into that state machine; the next write tries again.
      if (image === null) return;
      images.push({ group: group.id, ...image, meta: group.meta?.() ?? null });
    }
    await storage.rewrite(images);
  }
}

function emptyBatch(): Batch {
  return { updates: [], readies: [], waiters: [] };
}
