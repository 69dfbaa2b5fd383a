import { ByteReader, ByteWriter, decodeMessage, encodeMessage, type RaftMessage } from "../../../common/raft/index.ts";
import type { Peer, RegionEpoch } from "./region.ts";

/** What stores send each other: a Raft message with what the receiver needs when it does not know the region yet. */
export interface RaftFrame {
  readonly regionId: number;
  readonly from: Peer;
  readonly to: Peer;
  readonly epoch: RegionEpoch;
  readonly startKey: string;
  readonly endKey: string;
  /** Null tells the receiver that its peer was removed by the configuration of `epoch`. */
  readonly message: RaftMessage | null;
}

export function encodeFrame({ regionId, from, to, epoch, startKey, endKey, message }: RaftFrame): Buffer {
  const writer = new ByteWriter().number(regionId);
  for (const peer of [from, to])
    writer
      .number(peer.id)
      .number(peer.storeId)
      .byte(peer.role === "learner" ? 1 : 0);
  writer.number(epoch.confVer).number(epoch.version);
  writer.bytes(Buffer.from(startKey, "latin1")).bytes(Buffer.from(endKey, "latin1"));
  return writer.bytes(message === null ? Buffer.alloc(0) : encodeMessage(message)).done();
}

/** @throws RangeError when the bytes are not a frame. */
export function decodeFrame(bytes: Buffer): RaftFrame {
  const reader = new ByteReader(bytes);
  const peer = (): Peer => ({
    id: reader.number(),
    storeId: reader.number(),
    role: reader.byte() === 1 ? "learner" : "voter",
  });
  const [regionId, from, to] = [reader.number(), peer(), peer()];
  const epoch = { confVer: reader.number(), version: reader.number() };
  const [startKey, endKey] = [reader.latin1(), reader.latin1()];
  const message = reader.bytes();
  return { regionId, from, to, epoch, startKey, endKey, message: message.length === 0 ? null : decodeMessage(message) };
}
