import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";
import { FAMILIES, type Family } from "./families.ts";
import { readRegion, writeRegion, type Region, type RegionEpoch } from "./region.ts";

/** One change of pairs; without a family it is of the default one. */
export type WriteOp = { readonly family?: Family } & (
  | { readonly kind: "put"; readonly key: string; readonly value: Buffer }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "delete-range"; readonly start: string; readonly end: string }
  /** `expected` null = the key must not exist. */
  | { readonly kind: "cas"; readonly key: string; readonly value: Buffer; readonly expected: Buffer | null }
);

export interface SplitPart {
  readonly regionId: number;
  /** In the order of the parent's peers. */
  readonly peerIds: readonly number[];
}

/**
 * What a normal log entry holds. The epoch is the region's when it was proposed: an entry that finds another one when
 * it is applied has no effect, because its keys may belong to another region by then. Writes look at the version
 * alone (tikv/tikv:components/raftstore/src/store/util.rs, `admin_cmd_epoch_lookup`).
 */
export type Command =
  | { readonly kind: "write"; readonly version: number; readonly ops: readonly WriteOp[] }
  | SplitCommand
  /** Freezes the region until it has become a part of `target`, or is taken back. */
  | { readonly kind: "prepare-merge"; readonly epoch: RegionEpoch; readonly target: Region }
  /** In the target's log: takes the frozen source over, with its pairs. */
  | {
      readonly kind: "commit-merge";
      readonly epoch: RegionEpoch;
      readonly source: Region;
      readonly pairs: Buffer;
    }
  | { readonly kind: "rollback-merge"; readonly epoch: RegionEpoch };

export interface SplitCommand {
  readonly kind: "split";
  readonly epoch: RegionEpoch;
  readonly keys: readonly string[];
  readonly parts: readonly SplitPart[];
}

/** Order is the format on disk: append only. */
const KINDS: readonly Command["kind"][] = ["write", "split", "prepare-merge", "commit-merge", "rollback-merge"];
const OPS: readonly WriteOp["kind"][] = ["put", "delete", "delete-range", "cas"];
const FAMILY_SHIFT = 4;
const OP_MASK = 15;

export function encodeCommand(command: Command): Buffer {
  const writer = new ByteWriter().byte(KINDS.indexOf(command.kind));
  if (command.kind === "write") {
    writer.number(command.version).u32(command.ops.length);
    for (const op of command.ops) writeOp(writer, op);
    return writer.done();
  }
  writer.number(command.epoch.confVer).number(command.epoch.version);
  if (command.kind === "split") writeSplit(writer, command);
  else if (command.kind === "prepare-merge") writeRegion(writer, command.target);
  else if (command.kind === "commit-merge") {
    writeRegion(writer, command.source);
    writer.bytes(command.pairs);
  }
  return writer.done();
}

/** Values are views of `data`. @throws RangeError when the bytes are not a command. */
export function decodeCommand(data: Buffer): Command {
  const reader = new ByteReader(data);
  const kind = KINDS[reader.byte()];
  if (kind === undefined) throw new RangeError("unknown command");
  if (kind === "write") {
    const version = reader.number();
    return { kind, version, ops: Array.from({ length: reader.u32() }, () => readOp(reader)) };
  }
  const epoch = { confVer: reader.number(), version: reader.number() };
  switch (kind) {
    case "split":
      return readSplit(reader, epoch);
    case "prepare-merge":
      return { kind, epoch, target: readRegion(reader) };
    case "commit-merge":
      return { kind, epoch, source: readRegion(reader), pairs: reader.bytes() };
    case "rollback-merge":
      return { kind, epoch };
  }
}

function writeSplit(writer: ByteWriter, { keys, parts }: SplitCommand): void {
  writer.u32(keys.length);
  for (const one of keys) writer.latin1(one);
  writer.u32(parts.length);
  for (const { regionId, peerIds } of parts) writer.number(regionId).numbers(peerIds);
}

function readSplit(reader: ByteReader, epoch: RegionEpoch): SplitCommand {
  const keys = Array.from({ length: reader.u32() }, () => reader.latin1());
  const parts = Array.from({ length: reader.u32() }, () => ({ regionId: reader.number(), peerIds: reader.numbers() }));
  return { kind: "split", epoch, keys, parts };
}

function writeOp(writer: ByteWriter, op: WriteOp): void {
  const family = op.family === undefined ? 0 : FAMILIES.indexOf(op.family);
  writer.byte(OPS.indexOf(op.kind) | (family << FAMILY_SHIFT));
  if (op.kind === "delete-range") {
    writer.latin1(op.start).latin1(op.end);
    return;
  }
  writer.latin1(op.key);
  if (op.kind === "put" || op.kind === "cas") writer.bytes(op.value);
  if (op.kind === "cas") writer.byte(op.expected === null ? 0 : 1).bytes(op.expected ?? Buffer.alloc(0));
}

function readOp(reader: ByteReader): WriteOp {
  const byte = reader.byte();
  const family = byte >> FAMILY_SHIFT === 0 ? {} : { family: familyAt(byte >> FAMILY_SHIFT) };
  const kind = OPS[byte & OP_MASK];
  switch (kind) {
    case "put":
      return { kind, key: reader.latin1(), value: reader.view(), ...family };
    case "delete":
      return { kind, key: reader.latin1(), ...family };
    case "delete-range":
      return { kind, start: reader.latin1(), end: reader.latin1(), ...family };
    case "cas": {
      const [key, value, exists, expected] = [reader.latin1(), reader.view(), reader.byte() === 1, reader.view()];
      return { kind, key, value, expected: exists ? expected : null, ...family };
    }
    default:
      throw new RangeError("unknown operation");
  }
}

function familyAt(index: number): Family {
  const family = FAMILIES[index];
  if (family === undefined) throw new RangeError("unknown column family");
  return family;
}
