import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";
import { changePeers, type Changed, type PeerChanges } from "./change-peers.ts";
import type { Command, SplitCommand, SplitPart, WriteOp } from "./command.ts";
import { Families } from "./families.ts";
import { readRegion, writeRegion, type Peer, type Region } from "./region.ts";

/** What one compare-and-swap found. */
export interface CasOutcome {
  readonly succeeded: boolean;
  /** Null = the key did not exist. */
  readonly previous: Buffer | null;
}

/** A region that a split made, with what belongs to it. */
export interface SplitOff {
  readonly region: Region;
  readonly values: Families;
}

/** The replicated state machine of one region: what it covers, who holds it, and its pairs. Deterministic. */
export class RegionState {
  region: Region;
  values: Families;
  /** The neighbour that it is to become a part of, as it was then; nothing is written or read meanwhile. */
  mergingInto: Region | null;
  /** Ids of the regions that have become a part of it, for replicas of theirs that missed it. */
  readonly absorbed: Set<number>;

  constructor(
    region: Region,
    values = new Families(),
    merging: { readonly into: Region | null; readonly absorbed: Iterable<number> } = { into: null, absorbed: [] },
  ) {
    this.region = region;
    this.values = values;
    this.mergingInto = merging.into;
    this.absorbed = new Set(merging.absorbed);
  }

  toBytes(): Buffer {
    const writer = new ByteWriter();
    writeRegion(writer, this.region);
    writer.byte(this.mergingInto === null ? 0 : 1);
    if (this.mergingInto !== null) writeRegion(writer, this.mergingInto);
    writer.numbers([...this.absorbed]);
    this.values.write(writer);
    return writer.done();
  }

  static fromBytes(data: Buffer): RegionState {
    const reader = new ByteReader(data);
    const region = readRegion(reader);
    const into = reader.byte() === 1 ? readRegion(reader) : null;
    const absorbed = reader.numbers();
    return new RegionState(region, Families.read(reader), { into, absorbed });
  }

  /** @returns what each compare-and-swap found, in order. */
  write(ops: readonly WriteOp[]): CasOutcome[] {
    const outcomes: CasOutcome[] = [];
    for (const op of ops) {
      const values = this.values.of(op.family ?? "default");
      if (op.kind === "put") values.put(op.key, op.value);
      else if (op.kind === "delete") values.delete(op.key);
      else if (op.kind === "delete-range") values.deleteRange(op.start, op.end);
      else outcomes.push(this.#compareAndSwap(op));
    }
    return outcomes;
  }

  /** The region keeps the last part, as TiKV does (right-derive-when-split). */
  split({ keys, parts }: SplitCommand): SplitOff[] {
    const { startKey, peers, epoch } = this.region;
    const version = epoch.version + keys.length;
    const splitOff = keys.map((endKey, at): SplitOff => {
      const start = at === 0 ? startKey : (keys[at - 1] as string);
      const part = parts[at] as SplitPart;
      const ownPeers = peers.map((peer, position): Peer => ({ ...peer, id: part.peerIds[position] ?? 0 }));
      return {
        region: { id: part.regionId, startKey: start, endKey, epoch: { ...epoch, version }, peers: ownPeers },
        values: this.values.split(start, endKey),
      };
    });
    this.region = { ...this.region, startKey: keys.at(-1) ?? startKey, epoch: { ...epoch, version } };
    return splitOff;
  }

  /** Takes effect unless it says why not. */
  changePeers(changes: PeerChanges): Changed {
    const changed = changePeers(this.region, changes);
    if ("region" in changed) this.region = changed.region;
    return changed;
  }

  /** Both numbers of the epoch grow: no change of peers that was proposed before may take effect any more. */
  prepareMerge(target: Region): void {
    const { confVer, version } = this.region.epoch;
    this.region = { ...this.region, epoch: { confVer: confVer + 1, version: version + 1 } };
    this.mergingInto = target;
  }

  rollbackMerge(): void {
    const { confVer, version } = this.region.epoch;
    this.region = { ...this.region, epoch: { confVer, version: version + 1 } };
    this.mergingInto = null;
  }

  /** The source's range and pairs are this region's from now on. */
  commitMerge({ source, pairs }: Extract<Command, { kind: "commit-merge" }>): void {
    const { startKey, endKey, epoch } = this.region;
    // An open end and an open start are the same text.
    const isAfter = endKey !== "" && endKey === source.startKey;
    const grown = isAfter ? { endKey: source.endKey } : { startKey: source.startKey };
    const version = Math.max(source.epoch.version, epoch.version) + 1;
    this.region = { ...this.region, startKey, endKey, ...grown, epoch: { ...epoch, version } };
    this.absorbed.add(source.id);
    this.values.absorb(Families.read(new ByteReader(pairs)));
  }

  /** For the entry that commits a merge. */
  pairs(): Buffer {
    const writer = new ByteWriter();
    this.values.write(writer);
    return writer.done();
  }

  #compareAndSwap({ key, value, expected, family }: Extract<WriteOp, { kind: "cas" }>): CasOutcome {
    const values = this.values.of(family ?? "default");
    const previous = values.get(key) ?? null;
    const succeeded = expected === null ? previous === null : previous?.equals(expected) === true;
    if (succeeded) values.put(key, value);
    return { succeeded, previous };
  }
}
