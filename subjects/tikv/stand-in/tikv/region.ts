import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

/** In the order of `metapb.PeerRole`. The last two exist only while a region is in joint consensus. */
export const PEER_ROLES = ["voter", "learner", "incoming-voter", "demoting-voter"] as const;

export type PeerRole = (typeof PEER_ROLES)[number];

export interface Peer {
  readonly id: number;
  readonly storeId: number;
  readonly role: PeerRole;
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

/** Some change of its peers has been entered and not been left yet. */
export function isJoint({ peers }: Region): boolean {
  return peers.some(({ role }) => role === "incoming-voter" || role === "demoting-voter");
}

export function sameEpoch(a: RegionEpoch, b: RegionEpoch): boolean {
  return a.confVer === b.confVer && a.version === b.version;
}

/** Replicas in the same roles on the same stores: what a merge needs (raftstore's `region_on_same_stores`). */
export function onSameStores(a: Region, b: Region): boolean {
  const twin = ({ storeId, role }: Peer): boolean =>
    b.peers.some((other) => other.storeId === storeId && other.role === role);
  return a.peers.length === b.peers.length && a.peers.every(twin);
}

export function peerOn(region: Region, storeId: number): Peer | undefined {
  return region.peers.find((peer) => peer.storeId === storeId);
}

export function writeRegion(writer: ByteWriter, region: Region): void {
  writer.number(region.id);
  writer.latin1(region.startKey).latin1(region.endKey);
  writer.number(region.epoch.confVer).number(region.epoch.version).u32(region.peers.length);
  for (const peer of region.peers) writePeer(writer, peer);
}

export function writePeer(writer: ByteWriter, { id, storeId, role }: Peer): void {
  writer.number(id).number(storeId).byte(PEER_ROLES.indexOf(role));
}

/** @throws RangeError when the bytes are not a peer. */
export function readPeer(reader: ByteReader): Peer {
  const [id, storeId, role] = [reader.number(), reader.number(), PEER_ROLES[reader.byte()]];
  if (role === undefined) throw new RangeError("unknown role of a peer");
  return { id, storeId, role };
}

export function readRegion(reader: ByteReader): Region {
  return {
    id: reader.number(),
    startKey: reader.latin1(),
    endKey: reader.latin1(),
    epoch: { confVer: reader.number(), version: reader.number() },
    peers: Array.from({ length: reader.u32() }, () => readPeer(reader)),
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
  return { id: String(id), store_id: String(storeId), role: PEER_ROLES.indexOf(role) };
}

export function fromPeerMessage({ id, store_id, role }: PeerMessage): Peer {
  return { id: Number(id), storeId: Number(store_id), role: PEER_ROLES[role] ?? "voter" };
}

export function fromRegionMessage(message: RegionMessage): Region {
  const { conf_ver, version } = message.region_epoch ?? { conf_ver: "0", version: "0" };
  return {
    id: Number(message.id),
    startKey: message.start_key.toString("latin1"),
    endKey: message.end_key.toString("latin1"),
    epoch: { confVer: Number(conf_ver), version: Number(version) },
    peers: message.peers.map(fromPeerMessage),
  };
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
