import { ByteReader, type ByteWriter } from "./bytes.ts";
import { readEntries, readSnapshot, writeEntries, writeSnapshot } from "./codec.ts";
import type { GroupUpdate } from "./storage.ts";

const HARD_STATE = 1;
const ENTRIES = 2;
const SNAPSHOT = 4;
const META = 8;
const REMOVED = 16;

export function writeUpdates(writer: ByteWriter, updates: readonly GroupUpdate[]): void {
  writer.u32(updates.length);
  for (const { group, hardState, entries, snapshot, meta, removed } of updates) {
    const parts =
      (hardState ? HARD_STATE : 0) |
      (entries && entries.length > 0 ? ENTRIES : 0) |
      (snapshot ? SNAPSHOT : 0) |
      (meta ? META : 0) |
      (removed === true ? REMOVED : 0);
    writer.number(group).byte(parts);
    if (hardState) writer.number(hardState.term).number(hardState.vote).number(hardState.commit);
    if (snapshot) writeSnapshot(writer, snapshot);
    if (entries && entries.length > 0) writeEntries(writer, entries);
    if (meta) writer.bytes(meta);
  }
}

/** @throws RangeError when the bytes are not updates. */
export function decodeUpdates(bytes: Buffer): GroupUpdate[] {
  const reader = new ByteReader(bytes);
  return Array.from({ length: reader.u32() }, () => {
    const group = reader.number();
    const parts = reader.byte();
    const has = (part: number): boolean => (parts & part) !== 0;
    return {
      group,
      removed: has(REMOVED),
      hardState: has(HARD_STATE) ? { term: reader.number(), vote: reader.number(), commit: reader.number() } : null,
      snapshot: has(SNAPSHOT) ? readSnapshot(reader) : null,
      entries: has(ENTRIES) ? readEntries(reader) : [],
      meta: has(META) ? reader.bytes() : null,
    };
  });
}
