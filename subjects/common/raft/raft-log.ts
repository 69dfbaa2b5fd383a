import type { Entry, RaftSnapshot } from "./types.ts";

/**
 * The log in memory: everything after the last compaction. It also knows how far the log has been handed out to be
 * written (`offered`), is on disk (`stable`), is committed, handed out to be applied (`delivered`) and is applied.
 */
export class RaftLog {
  #baseIndex: number;
  #baseTerm: number;
  #entries: Entry[];
  /** Where the log holds configuration changes: rarely more than one or two. */
  #confs: number[];
  commit: number;
  stable: number;
  offered: number;
  delivered: number;
  applied: number;

  /** What was found on disk; all of it counts as stable, nothing but the snapshot as applied. */
  constructor(base: { readonly index: number; readonly term: number }, entries: readonly Entry[], commit: number) {
    this.#baseIndex = base.index;
    this.#baseTerm = base.term;
    this.#entries = [...entries];
    this.#confs = confsOf(entries);
    this.delivered = this.applied = base.index;
    this.stable = this.offered = this.lastIndex;
    this.commit = Math.min(Math.max(commit, base.index), this.lastIndex);
  }

  /** The oldest entry that is still here would have this index. */
  get firstIndex(): number {
    return this.#baseIndex + 1;
  }

  get lastIndex(): number {
    return this.#baseIndex + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#baseTerm;
  }

  /** Null when it was compacted away or is not there yet. */
  term(index: number): number | null {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries[index - this.#baseIndex - 1]?.term ?? null;
  }

  /** Entries `from` .. `to` inclusive, at least one when there is one, stopping after `maxBytes`. */
  slice(from: number, to: number, maxBytes = Infinity): Entry[] {
    const begin = Math.max(0, from - this.firstIndex);
    let end = Math.min(this.#entries.length, Math.max(begin, to - this.#baseIndex));
    if (maxBytes !== Infinity) end = this.#endWithin(begin, end, maxBytes);
    return this.#entries.slice(begin, end);
  }

  #endWithin(begin: number, end: number, maxBytes: number): number {
    let bytes = 0;
    for (let at = begin; at < end; at++) {
      bytes += (this.#entries[at]?.data.length ?? 0) + 24;
      if (bytes > maxBytes) return Math.max(begin + 1, at);
    }
    return end;
  }

  /** The first configuration change from `from` to `to` inclusive. */
  firstConf(from: number, to: number): number | null {
    const index = this.#confs.find((conf) => conf >= from);
    return index !== undefined && index <= to ? index : null;
  }

  /** Overwrites from the first entry's index on. @returns true when entries already offered were cut away. */
  append(entries: readonly Entry[]): boolean {
    const first = entries[0];
    if (first === undefined) return false;
    if (first.index <= this.commit) throw new Error(`entry ${first.index} is committed and cannot be overwritten`);
    const rewritten = first.index <= this.offered;
    this.#entries.length = first.index - this.firstIndex;
    for (const entry of entries) this.#entries.push(entry);
    while ((this.#confs.at(-1) ?? 0) >= first.index) this.#confs.pop();
    this.#confs.push(...confsOf(entries));
    this.offered = Math.min(this.offered, first.index - 1);
    this.stable = Math.min(this.stable, first.index - 1);
    return rewritten;
  }

  /** Those of `entries` that the log does not have yet, from the first difference on. */
  missing(entries: readonly Entry[]): readonly Entry[] {
    const at = entries.findIndex((entry) => this.term(entry.index) !== entry.term);
    return at === -1 ? [] : entries.slice(at);
  }

  /**
   * The last position at or before `index` whose term is at most `term`: where two logs may still agree (etcd-raft,
   * findConflictByTerm). It saves a round trip per entry when a follower is far off.
   */
  mayAgreeAt(index: number, term: number): number {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#baseIndex && (this.term(at) ?? 0) > term) at--;
    return at;
  }

  isUpToDate(index: number, term: number): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);
  }

  restore(snapshot: Pick<RaftSnapshot, "index" | "term">): void {
    this.#baseIndex = snapshot.index;
    this.#baseTerm = snapshot.term;
    this.#entries = [];
    this.#confs = [];
    this.commit = this.stable = this.offered = this.delivered = this.applied = snapshot.index;
  }

  /** Forgets entries up to `index`; never more than was applied and is on disk. */
  compact(index: number): void {
    const to = Math.min(index, this.applied, this.stable);
    const term = this.term(to);
    if (term === null || to <= this.#baseIndex) return;
    this.#entries = this.#entries.slice(to - this.#baseIndex);
    this.#confs = this.#confs.filter((index) => index > to);
    this.#baseIndex = to;
    this.#baseTerm = term;
  }
}

function confsOf(entries: readonly Entry[]): number[] {
  const indexes: number[] = [];
  for (const { kind, index } of entries) if (kind === "conf") indexes.push(index);
  return indexes;
}
