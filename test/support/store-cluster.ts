import { seededRandom } from "../../harness/base/random.ts";
import { MetricRegistry } from "../../subjects/common/metrics/registry.ts";
import { GroupImages } from "../../subjects/common/raft/group-images.ts";
import type { GroupImage, GroupUpdate, RaftStorage } from "../../subjects/common/raft/index.ts";
import { nodeLog } from "../../subjects/tikv/stand-in/node-log.ts";
import { decodeFrame, encodeFrame, type RaftFrame } from "../../subjects/tikv/stand-in/tikv/raft-frame.ts";
import { RaftMetrics } from "../../subjects/tikv/stand-in/tikv/raft-metrics.ts";
import type { RegionPeer } from "../../subjects/tikv/stand-in/tikv/region-peer.ts";
import type { Region } from "../../subjects/tikv/stand-in/tikv/region.ts";
import { Store } from "../../subjects/tikv/stand-in/tikv/store.ts";
import { ManualClock } from "./manual-clock.ts";

const TICK_MS = 1_000;

/** What is written is there at once, and outlives the store. */
class MemoryStorage implements RaftStorage {
  readonly sizeBytes = 0;
  #images = new GroupImages();

  get found(): Map<number, GroupImage> {
    return this.#images.all();
  }

  write(updates: readonly GroupUpdate[]): Promise<void> {
    this.#images.apply(updates);
    return Promise.resolve();
  }

  rewrite(images: readonly GroupImage[]): Promise<void> {
    this.#images = new GroupImages();
    this.#images.apply(images);
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Stores in one process on a clock of the test's, without PD: messages between them are encoded, and may be cut off. */
export class StoreCluster {
  readonly clock = new ManualClock();
  /** Stores that neither hear nor are heard. */
  readonly cut = new Set<number>();
  readonly log: string[] = [];
  /** By store and region: a replica that is not to get this region's messages. */
  dropped: (frame: RaftFrame, to: number) => boolean = () => false;
  readonly #stores = new Map<number, Store>();
  readonly #disks = new Map<number, MemoryStorage>();

  constructor(storeIds: readonly number[]) {
    for (const id of storeIds) this.start(id);
  }

  store(id: number): Store {
    const store = this.#stores.get(id);
    if (store === undefined) throw new RangeError(`no store ${id}`);
    return store;
  }

  /** A new store, or one that comes back with what it had on disk. */
  start(storeId: number): void {
    const disk = this.#disks.get(storeId) ?? new MemoryStorage();
    this.#disks.set(storeId, disk);
    const store = new Store({
      storeId,
      storage: disk,
      found: disk.found,
      clock: this.clock,
      random: seededRandom(`store ${storeId}`),
      log: nodeLog({ clock: this.clock, write: (line) => this.log.push(`${storeId} ${line}`) }),
      metrics: new RaftMetrics(new MetricRegistry()),
      timeFactor: 1,
      diskUsage: () => "Normal",
      send: (to, frame) => this.#deliver(storeId, to, encodeFrame(frame)),
      onChanged: () => {},
      onSplit: () => {},
      onFatal: (error) => {
        throw error;
      },
    });
    this.#stores.set(storeId, store);
  }

  async stop(storeId: number): Promise<void> {
    await this.store(storeId).stop();
    this.#stores.delete(storeId);
  }

  /** The first region, on all of these stores. */
  async begin(stores: readonly number[]): Promise<void> {
    const [first = 0, ...others] = stores;
    const peers = [{ id: 101, storeId: first, role: "voter" as const }];
    const region: Region = { id: 1, startKey: "", endKey: "", epoch: { confVer: 1, version: 1 }, peers };
    await this.store(first).createFirst(region);
    for (const storeId of others) {
      const peer = { id: 100 + storeId, storeId, role: "learner" as const };
      this.leader(1).changePeers([{ type: "add-learner", peer }]);
      await this.until(() => this.peer(storeId, 1)?.initialized === true);
      this.leader(1).changePeers([{ type: "add-voter", peer: { ...peer, role: "voter" } }]);
      await this.until(() => this.peer(storeId, 1)?.self?.role === "voter");
    }
  }

  peer(storeId: number, regionId: number): RegionPeer | undefined {
    return this.#stores.get(storeId)?.peer(regionId);
  }

  leader(regionId: number): RegionPeer {
    const found = this.peers(regionId).find((peer) => peer.isLeader);
    if (found === undefined) throw new RangeError(`region ${regionId} has no leader`);
    return found;
  }

  peers(regionId: number): RegionPeer[] {
    return [...this.#stores.values()].flatMap((store) => store.peer(regionId) ?? []);
  }

  /** Gives leadership to the replica on this store. */
  async lead(storeId: number, regionId: number): Promise<void> {
    const target = this.peer(storeId, regionId);
    if (target === undefined) throw new RangeError(`store ${storeId} has no replica of region ${regionId}`);
    if (target.isLeader) return;
    this.leader(regionId).node.transferLeader(target.peerId);
    for (const store of this.#stores.values()) store.wake(regionId);
    await this.until(() => target.isLeader && target.node.leadsFirmly);
  }

  /** Everything that is under way arrives; no time passes. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async tick(times = 1): Promise<void> {
    for (let time = 0; time < times; time++) {
      await this.clock.advance(TICK_MS);
      for (const store of this.#stores.values()) store.tick();
      await this.settle();
    }
  }

  /** Lets time pass until it holds. @throws RangeError after a minute of it. */
  async until(holds: () => boolean): Promise<void> {
    await this.settle();
    for (let left = 60; !holds(); left--) {
      if (left === 0) throw new RangeError("it did not come about within a minute of the stores' time");
      await this.tick();
    }
  }

  #deliver(from: number, to: number, bytes: Buffer): boolean {
    setImmediate(() => {
      if (this.cut.has(from) || this.cut.has(to)) return;
      const frame = decodeFrame(bytes);
      if (!this.dropped(frame, to)) this.#stores.get(to)?.receive(frame);
    });
    return true;
  }
}
