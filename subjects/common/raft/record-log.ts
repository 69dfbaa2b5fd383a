import { crc32 } from "node:zlib";
import { StoreError } from "../../../harness/base/errors.ts";
import { ByteWriter } from "./bytes.ts";
import { decodeUpdates, writeUpdates } from "./update-codec.ts";
import type { GroupUpdate } from "./storage.ts";

/** What the file starts with; the digit changes with the format. */
export const LOG_MAGIC = Buffer.from("raftlog2", "latin1");
const HEADER_BYTES = 12;
const SECTOR_BYTES = 512;

/** One batch: length, CRC-32 of the length, CRC-32 of the updates, updates. In the memory of `writer`. */
export function encodeRecord(updates: readonly GroupUpdate[], writer = new ByteWriter()): Buffer {
  writer.u32(0).u32(0).u32(0);
  writeUpdates(writer, updates);
  const record = writer.done();
  record.writeUInt32LE(record.length - HEADER_BYTES, 0);
  record.writeUInt32LE(crc32(record.subarray(0, 4)), 4);
  record.writeUInt32LE(crc32(record.subarray(HEADER_BYTES)), 8);
  return record;
}

/**
 * Reads a whole file. A last record that a crash tore was never acknowledged and is passed over; what counts as torn
 * (it ends early, or a sector of it was never written) is as in etcd-io/etcd:server/storage/wal/decoder.go.
 * @returns the number of good bytes.
 * @throws StoreError when the file is damaged, or of another format.
 */
export function replayRecords(file: Buffer, name: string, apply: (updates: readonly GroupUpdate[]) => void): number {
  const begin = file.subarray(0, LOG_MAGIC.length);
  if (file.length < LOG_MAGIC.length && LOG_MAGIC.subarray(0, file.length).equals(begin)) return 0;
  if (!LOG_MAGIC.equals(begin)) throw new StoreError(`raft log ${name} has a format that is not known here`);
  let at = LOG_MAGIC.length;
  for (let end = recordEnd(file, at); end !== null; end = recordEnd(file, at)) {
    apply(decode(file.subarray(at + HEADER_BYTES, end), name, at));
    at = end;
  }
  if (at < file.length && !isTorn(file, at)) throw new StoreError(`raft log ${name} is damaged at byte ${at}`);
  return at;
}

function decode(payload: Buffer, name: string, at: number): GroupUpdate[] {
  try {
    return decodeUpdates(payload);
  } catch (error) {
    throw new StoreError(`raft log ${name} cannot be understood at byte ${at}`, { cause: error });
  }
}

/** Null = there is no whole and sound record here. */
function recordEnd(file: Buffer, at: number): number | null {
  const end = headerEnd(file, at);
  if (end === null || end > file.length) return null;
  return crc32(file.subarray(at + HEADER_BYTES, end)) === file.readUInt32LE(at + 8) ? end : null;
}

/** Where the record that begins here should end. */
function headerEnd(file: Buffer, at: number): number | null {
  if (at + HEADER_BYTES > file.length) return null;
  const sound = crc32(file.subarray(at, at + 4)) === file.readUInt32LE(at + 4);
  return sound ? at + HEADER_BYTES + file.readUInt32LE(at) : null;
}

/** The last bytes of a file, which are no sound record, are what a crash left of one. */
function isTorn(file: Buffer, at: number): boolean {
  for (let later = at + 1; later + HEADER_BYTES <= file.length; later++)
    if (recordEnd(file, later) !== null) return false;
  if (at + HEADER_BYTES > file.length) return true;
  const end = headerEnd(file, at);
  return end !== null && end > file.length ? true : hasUnwrittenSector(file, at);
}

function hasUnwrittenSector(file: Buffer, from: number): boolean {
  for (let at = from; at < file.length;) {
    const next = Math.min(file.length, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (file.subarray(at, next).every((byte) => byte === 0)) return true;
    at = next;
  }
  return false;
}
