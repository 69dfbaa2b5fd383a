import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";

/** What a store remembers about a region beside its log. */
export type PeerMeta =
  | { readonly kind: "peer"; readonly peerId: number }
  /** Was a member up to this configuration: messages to it are late. */
  | Tombstone;

export interface Tombstone {
  readonly kind: "tombstone";
  readonly peerId: number;
  readonly confVer: number;
  /** The region has become a part of its neighbour: nobody else is a member any more either. */
  readonly merged: boolean;
}

export function encodePeerMeta(meta: PeerMeta): Buffer {
  const writer = new ByteWriter().byte(meta.kind === "peer" ? 0 : 1).number(meta.peerId);
  const [confVer, merged] = meta.kind === "peer" ? [0, false] : [meta.confVer, meta.merged];
  return writer
    .number(confVer)
    .byte(merged ? 1 : 0)
    .done();
}

export function decodePeerMeta(bytes: Buffer): PeerMeta {
  const reader = new ByteReader(bytes);
  const kind = reader.byte();
  const [peerId, confVer] = [reader.number(), reader.number()];
  return kind === 0 ? { kind: "peer", peerId } : { kind: "tombstone", peerId, confVer, merged: reader.byte() === 1 };
}
