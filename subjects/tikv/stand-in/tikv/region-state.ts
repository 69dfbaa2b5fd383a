import { ByteReader, ByteWriter } from "../../../common/raft/index.ts";
import type { Command, SplitPart, WriteOp } from "./command.ts";
import { KeyValues } from "./key-values.ts";
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
  readonly values: KeyValues;
}

/** The replicated state machine of one region: what it covers, who holds it, and its pairs. Deterministic. */
export class RegionState {
  region: Region;
  values: KeyValues;

  constructor(region: Region, values = new KeyValues()) {
    this.region = region;
    this.values = values;
  }

  toBytes(): Buffer {
    const writer = new ByteWriter();
    writeRegion(writer, this.region);
    this.values.write(writer);
    return writer.done();
  }

  static fromBytes(data: Buffer): RegionState {
    const reader = new ByteReader(data);
    return new RegionState(readRegion(reader), KeyValues.read(reader));
  }

  /** @returns what each compare-and-swap found, in order. */
  write(ops: readonly WriteOp[]): CasOutcome[] {
    const outcomes: CasOutcome[] = [];
    for (const op of ops) {
      if (op.kind === "put") this.values.put(op.key, op.value);
      else if (op.kind === "delete") this.values.delete(op.key);
      else if (op.kind === "delete-range") this.values.deleteRange(op.start, op.end);
      else outcomes.push(this.#compareAndSwap(op));
    }
    return outcomes;
  }

  /** The region keeps the last part, as TiKV does (right-derive-when-split). */
  split({ keys, parts }: Extract<Command, { kind: "split" }>): SplitOff[] {
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

  changePeer(type: "add-voter" | "add-learner" | "remove", peer: Peer): void {
    const others = this.region.peers.filter((other) => other.storeId !== peer.storeId);
    const role = type === "add-learner" ? ("learner" as const) : ("voter" as const);
    const peers = type === "remove" ? others : [...others, { ...peer, role }];
    const { confVer, version } = this.region.epoch;
    this.region = { ...this.region, peers, epoch: { confVer: confVer + 1, version } };
  }

  #compareAndSwap({ key, value, expected }: Extract<WriteOp, { kind: "cas" }>): CasOutcome {
    const previous = this.values.get(key) ?? null;
    const succeeded = expected === null ? previous === null : previous?.equals(expected) === true;
    if (succeeded) this.values.put(key, value);
    return { succeeded, previous };
  }
}
