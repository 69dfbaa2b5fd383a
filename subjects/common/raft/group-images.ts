import { StoreError } from "../../../harness/base/errors.ts";
import type { GroupImage, GroupUpdate } from "./storage.ts";
import type { Entry, HardState, RaftSnapshot } from "./types.ts";

interface MutableImage {
  hardState: HardState;
  snapshot: RaftSnapshot | null;
  entries: Entry[];
  meta: Buffer | null;
}

const NOTHING: HardState = { term: 0, vote: 0, commit: 0 };

/** What a sequence of updates adds up to. */
export class GroupImages {
  readonly #groups = new Map<number, MutableImage>();

  apply(updates: readonly GroupUpdate[]): void {
    for (const update of updates) this.#applyOne(update);
  }

  all(): Map<number, GroupImage> {
    return new Map([...this.#groups].map(([group, image]) => [group, { group, ...image }]));
  }

  #applyOne({ group, hardState, snapshot, entries, meta, removed }: GroupUpdate): void {
    let image = this.#groups.get(group);
    if (image === undefined) {
      image = { hardState: NOTHING, snapshot: null, entries: [], meta: null };
      this.#groups.set(group, image);
    }
    if (removed === true) Object.assign(image, { hardState: NOTHING, snapshot: null, entries: [] });
    if (hardState) image.hardState = hardState;
    if (snapshot) Object.assign(image, { snapshot, entries: [] });
    if (entries) appendEntries(group, image, entries);
    if (meta) image.meta = meta;
  }
}

function appendEntries(group: number, image: MutableImage, entries: readonly Entry[]): void {
  const base = image.snapshot?.index ?? 0;
  // A rewrite may have put a snapshot beyond entries that were already queued for writing.
  const news = entries.filter((entry) => entry.index > base);
  const first = news[0];
  if (first === undefined) return;
  const keep = first.index - base - 1;
  if (keep > image.entries.length) throw new StoreError(`raft log of group ${group} has a gap before ${first.index}`);
  image.entries.length = keep;
  image.entries.push(...news);
}
