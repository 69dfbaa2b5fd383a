import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

export interface Peer {
  readonly id: number;
  readonly storeId: number;
  readonly role: "voter" | "learner";
}

export interface RegionEpoch {
  /** Grows with every change of peers. */
  readonly confVer: number;
  /** Grows with every change of the range. */
  readonly version: number;
}

/**
 * A range of keys and who holds it. Keys are latin1 strings: one character a byte, so that comparing strings compares
 * bytes. An empty end means "no end".
 */
export interface Region {
  readonly id: number;
  readonly startKey: string;
  readonly endKey: string;
  readonly epoch: RegionEpoch;
  readonly peers: readonly Peer[];
}

export function regionHolds(region: Region, key: string): boolean {
  return key >= region.startKey && (region.endKey === "" || key < region.endKey);
}

export function regionsOverlap(
  a: Pick<Region, "startKey" | "endKey">,
  b: Pick<Region, "startKey" | "endKey">,
): boolean {
  return (a.endKey === "" || b.startKey < a.endKey) && (b.endKey === "" || a.startKey < b.endKey);
}

export function peerOn(region: Region, storeId: number): Peer | undefined {
  return region.peers.find((peer) => peer.storeId === storeId);
}

export function writeRegion(writer: ByteWriter, region: Region): void {
  writer.number(region.id);
  writer.bytes(Buffer.from(region.startKey, "latin1")).bytes(Buffer.from(region.endKey, "latin1"));
  writer.number(region.epoch.confVer).number(region.epoch.version).u32(region.peers.length);
  for (const { id, storeId, role } of region.peers)
    writer
      .number(id)
      .number(storeId)
      .byte(role === "learner" ? 1 : 0);
}

export function readRegion(reader: ByteReader): Region {
  return {
    id: reader.number(),
    startKey: reader.latin1(),
    endKey: reader.latin1(),
    epoch: { confVer: reader.number(), version: reader.number() },
    peers: Array.from({ length: reader.u32() }, () => ({
      id: reader.number(),
      storeId: reader.number(),
      role: reader.byte() === 1 ? ("learner" as const) : ("voter" as const),
    })),
  };
}

/** `metapb.Peer` as the loader wants it. */
export interface PeerMessage {
  readonly id: string;
  readonly store_id: string;
  readonly role: number;
}

/** `metapb.Region` as the loader gives and wants it. */
export interface RegionMessage {
  readonly id: string;
  readonly start_key: Buffer;
  readonly end_key: Buffer;
  readonly region_epoch: { readonly conf_ver: string; readonly version: string } | null;
  readonly peers: readonly PeerMessage[];
}

export function toPeerMessage({ id, storeId, role }: Peer): PeerMessage {
  return { id: String(id), store_id: String(storeId), role: role === "learner" ? 1 : 0 };
}

export function fromPeerMessage({ id, store_id, role }: PeerMessage): Peer {
  return { id: Number(id), storeId: Number(store_id), role: role === 1 ? "learner" : "voter" };
}

export function toRegionMessage(region: Region): RegionMessage {
  return {
    id: String(region.id),
    start_key: Buffer.from(region.startKey, "latin1"),
    end_key: Buffer.from(region.endKey, "latin1"),
    region_epoch: { conf_ver: String(region.epoch.confVer), version: String(region.epoch.version) },
    peers: region.peers.map(toPeerMessage),
  };
}
