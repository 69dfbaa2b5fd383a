import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

/** One change of pairs. */
export type WriteOp =
  | { readonly kind: "put"; readonly key: string; readonly value: Buffer }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "delete-range"; readonly start: string; readonly end: string }
  /** `expected` null = the key must not exist. */
  | { readonly kind: "cas"; readonly key: string; readonly value: Buffer; readonly expected: Buffer | null };

export interface SplitPart {
  readonly regionId: number;
  /** In the order of the parent's peers. */
  readonly peerIds: readonly number[];
}

/**
 * What a normal log entry holds. `version` is the region's when it was proposed: an entry that finds another one when
 * it is applied has no effect, because its keys may belong to another region by then.
 */
export type Command =
  | { readonly kind: "write"; readonly version: number; readonly ops: readonly WriteOp[] }
  | {
      readonly kind: "split";
      readonly version: number;
      readonly keys: readonly string[];
      readonly parts: readonly SplitPart[];
    };

const WRITE = 1;
const SPLIT = 2;
const OPS = ["put", "delete", "delete-range", "cas"] as const;

export function encodeCommand(command: Command): Buffer {
  const writer = new ByteWriter().byte(command.kind === "write" ? WRITE : SPLIT).number(command.version);
  if (command.kind === "write") {
    writer.u32(command.ops.length);
    for (const op of command.ops) writeOp(writer, op);
  } else {
    writer.u32(command.keys.length);
    for (const key of command.keys) writer.bytes(latin1(key));
    writer.u32(command.parts.length);
    for (const { regionId, peerIds } of command.parts) writer.number(regionId).numbers(peerIds);
  }
  return writer.done();
}

/** @throws RangeError when the bytes are not a command. */
export function decodeCommand(data: Buffer): Command {
  const reader = new ByteReader(data);
  const kind = reader.byte();
  const version = reader.number();
  if (kind === WRITE)
    return { kind: "write", version, ops: Array.from({ length: reader.u32() }, () => readOp(reader)) };
  if (kind !== SPLIT) throw new RangeError(`unknown command ${kind}`);
  const keys = Array.from({ length: reader.u32() }, () => key(reader));
  const parts = Array.from({ length: reader.u32() }, () => ({ regionId: reader.number(), peerIds: reader.numbers() }));
  return { kind: "split", version, keys, parts };
}

function writeOp(writer: ByteWriter, op: WriteOp): void {
  writer.byte(OPS.indexOf(op.kind));
  if (op.kind === "delete-range") {
    writer.bytes(latin1(op.start)).bytes(latin1(op.end));
    return;
  }
  writer.bytes(latin1(op.key));
  if (op.kind === "put" || op.kind === "cas") writer.bytes(op.value);
  if (op.kind === "cas") writer.byte(op.expected === null ? 0 : 1).bytes(op.expected ?? Buffer.alloc(0));
}

function readOp(reader: ByteReader): WriteOp {
  const kind = OPS[reader.byte()];
  switch (kind) {
    case "put":
      return { kind, key: key(reader), value: reader.bytes() };
    case "delete":
      return { kind, key: key(reader) };
    case "delete-range":
      return { kind, start: key(reader), end: key(reader) };
    case "cas": {
      const [name, value, exists, expected] = [key(reader), reader.bytes(), reader.byte() === 1, reader.bytes()];
      return { kind, key: name, value, expected: exists ? expected : null };
    }
    default:
      throw new RangeError("unknown operation");
  }
}

function key(reader: ByteReader): string {
  return reader.latin1();
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
