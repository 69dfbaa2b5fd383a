import { ByteReader, ByteWriter, readMessage, writeMessage, type RaftMessage } from "../../../common/raft/index.ts";
import { DISK_USAGES, type DiskUsage } from "./disk-usage.ts";
import { readPeer, writePeer, type Peer, type RegionEpoch } from "./region.ts";

/** What stores send each other: a Raft message with what the receiver needs when it does not know the region yet. */
export interface RaftFrame {
  readonly regionId: number;
  readonly from: Peer;
  readonly to: Peer;
  readonly epoch: RegionEpoch;
  readonly startKey: string;
  readonly endKey: string;
  /** Of the sender: a leader does not propose what a majority could not write. */
  readonly diskUsage: DiskUsage;
  readonly body: FrameBody;
}

export type FrameBody =
  | { readonly kind: "raft"; readonly message: RaftMessage }
  /** The receiver's peer was removed by the configuration of the frame's epoch. */
  | { readonly kind: "gone" }
  /** A follower wants to know from which index on it may answer a read; the leader says. */
  | { readonly kind: "read-index"; readonly context: number }
  | { readonly kind: "read-index-reply"; readonly context: number; readonly index: number };

/** Order is the wire format. */
const KINDS: readonly FrameBody["kind"][] = ["raft", "gone", "read-index", "read-index-reply"];

/** Every frame is written in the same memory and copied from there. */
const writer = new ByteWriter();

export function encodeFrame({ regionId, from, to, epoch, startKey, endKey, diskUsage, body }: RaftFrame): Buffer {
  writer.number(regionId);
  for (const peer of [from, to]) writePeer(writer, peer);
  writer.number(epoch.confVer).number(epoch.version);
  writer.latin1(startKey).latin1(endKey);
  writer.byte(DISK_USAGES.indexOf(diskUsage)).byte(KINDS.indexOf(body.kind));
  if (body.kind === "raft") writeMessage(writer, body.message);
  else if (body.kind === "read-index") writer.number(body.context);
  else if (body.kind === "read-index-reply") writer.number(body.context).number(body.index);
  return writer.take();
}

/** @throws RangeError when the bytes are not a frame. */
export function decodeFrame(bytes: Buffer): RaftFrame {
  const reader = new ByteReader(bytes);
  const [regionId, from, to] = [reader.number(), readPeer(reader), readPeer(reader)];
  const epoch = { confVer: reader.number(), version: reader.number() };
  const [startKey, endKey] = [reader.latin1(), reader.latin1()];
  const diskUsage = DISK_USAGES[reader.byte()] ?? "Normal";
  return { regionId, from, to, epoch, startKey, endKey, diskUsage, body: readBody(reader) };
}

function readBody(reader: ByteReader): FrameBody {
  const kind = KINDS[reader.byte()];
  switch (kind) {
    case "raft":
      return { kind, message: readMessage(reader) };
    case "gone":
      return { kind };
    case "read-index":
      return { kind, context: reader.number() };
    case "read-index-reply":
      return { kind, context: reader.number(), index: reader.number() };
    default:
      throw new RangeError("unknown kind of frame");
  }
}
