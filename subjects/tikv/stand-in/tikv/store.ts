import type { Clock } from "../../../../harness/base/clock.ts";
import type { Random } from "../../../../harness/base/random.ts";
import {
  emptyMember,
  newGroup,
  RaftRunner,
  type GroupImage,
  type RaftMessage,
  type RaftStorage,
  type Restored,
} from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import type { DiskUsage } from "./disk-usage.ts";
import { decodePeerMeta, encodePeerMeta, type Tombstone } from "./peer-meta.ts";
import type { FrameBody, RaftFrame } from "./raft-frame.ts";
import { logSnapshotSent, logVoteRequests } from "./raft-lines.ts";
import type { RaftMetrics } from "./raft-metrics.ts";
import { FlowMeter } from "./peer-flow.ts";
import type { PeerHost } from "./peer-host.ts";
import { RegionPeer } from "./region-peer.ts";
import { driveMerge } from "./region-merge.ts";
import { RegionState, type SplitOff } from "./region-state.ts";
import { peerOn, regionsOverlap, type Peer, type Region } from "./region.ts";

export interface StoreOptions {
  readonly storeId: number;
  readonly storage: RaftStorage;
  readonly found: ReadonlyMap<number, GroupImage>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: NodeLog;
  readonly metrics: RaftMetrics;
  /** Factor on every duration. */
  readonly timeFactor: number;
  /** How full the disk is now. */
  diskUsage(): DiskUsage;
  /** Towards another store; may lose it. @returns false when it surely is lost. */
  send(storeId: number, frame: RaftFrame): boolean;
  /** A region that this store leads should be reported to PD. */
  onChanged(peer: RegionPeer, what: Parameters<PeerHost["onChanged"]>[1]): void;
  /** This store led the parent when it split. */
  onSplit(regions: readonly Region[]): void;
  onFatal(error: unknown): void;
}

const MAX_EARLY_VOTES = 64;
/** Contexts of reads begin at 1. */
const NOBODY_WAITS = 0;
const UNREACHABLE_BACKOFF_MS = 10_000;
const SIZE_TICKS = 60;
/** raftstore.check-long-uncommitted-interval 10 s */
const UNCOMMITTED_TICKS = 10;
/** raftstore.raft-log-gc-tick-interval 3 s: how often a leader looks how far its followers are. */
const LOG_LAG_TICKS = 3;

/** All replicas of one store: made, fed with messages and ticks, split and destroyed here. */
export class Store implements PeerHost {
  readonly storeId: number;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly metrics: RaftMetrics;
  readonly timeFactor: number;
  readonly flow = new FlowMeter();
  readonly #options: StoreOptions;
  readonly #runner: RaftRunner;
  readonly #peers = new Map<number, RegionPeer>();
  readonly #unreachableAt = new Map<number, number>();
  readonly #diskUsages = new Map<number, DiskUsage>();
  #ticks = 0;
  readonly #tombstones = new Map<number, Tombstone>();
  /** Votes asked for by regions that a split will make here any moment. */
  #earlyVotes: RaftFrame[] = [];

  constructor(options: StoreOptions) {
    this.#options = options;
    ({ storeId: this.storeId, clock: this.clock, log: this.log, metrics: this.metrics } = options);
    this.timeFactor = options.timeFactor;
    this.#runner = new RaftRunner({
      storage: options.storage,
      onFatal: options.onFatal,
      otherImages: () => this.#tombstoneImages(),
      schedule: (turn) => setImmediate(() => this.#turn(turn)),
    });
    for (const image of options.found.values()) this.#restore(image);
  }

  get peers(): Iterable<RegionPeer> {
    return this.#peers.values();
  }

  peer(regionId: number): RegionPeer | undefined {
    return this.#peers.get(regionId);
  }

  /**
   * The region, and as many before it as it may have been split since `version`: what a client that knows it as of then
   * most likely lacks (tikv/tikv:components/raftstore/src/store/fsm/peer.rs, `collect_sibling_region`).
   */
  around(region: Region, version: number): Region[] {
    const found = [region];
    for (let left = region.epoch.version - version; left > 0; left--) {
      const { startKey } = found.at(-1) as Region;
      const before = [...this.#peers.values()].find((peer) => startKey !== "" && peer.region?.endKey === startKey);
      if (before?.region == null) break;
      found.push(before.region);
    }
    return found;
  }

  /**
   * The first region of a cluster, or one that PD makes anew where one is lost; resolves when it is on disk. It elects
   * itself at once.
   */
  async createFirst(region: Region): Promise<void> {
    await this.#create(new RegionState(region), true);
  }

  /** Takes back what `createFirst` made, because another store was first; resolves when that is on disk. */
  async forget(regionId: number): Promise<void> {
    const peer = this.#peers.get(regionId);
    if (peer !== undefined) await this.#destroy(peer, peer.region?.epoch.confVer ?? 0);
  }

  /** Whoever knows that this replica was removed says so (TiKV: `bcast_check_stale_peer_message`). */
  askWhetherMember(peer: RegionPeer): void {
    for (const other of peer.region?.peers ?? [])
      if (other.id !== peer.peerId) this.askReadIndex(peer, other, NOBODY_WAITS);
  }

  /** PD says that it is no member any more, though nobody told it. */
  destroyStale(peer: RegionPeer, confVer: number): void {
    if (this.#peers.get(peer.id) === peer) void this.#destroy(peer, confVer);
  }

  tick(): void {
    const started = this.clock.monotonic();
    this.#ticks++;
    for (const peer of this.#peers.values()) {
      peer.node.tick();
      peer.noticeFollowers();
      peer.askAgain();
      driveMerge(peer, this);
      if (peer.isLeader && this.#ticks % LOG_LAG_TICKS === 0) this.metrics.logLag(peer.logLag());
      if (peer.isLeader && this.#ticks % SIZE_TICKS === 0) this.metrics.regionSize(peer.approximateBytes);
      if (peer.isLeader && this.#ticks % UNCOMMITTED_TICKS === 0) peer.noticeUncommitted();
      this.#runner.wake(peer.id);
    }
    this.metrics.tick(this.clock.monotonic() - started);
  }

  #turn(turn: () => void): void {
    const started = this.clock.monotonic();
    turn();
    this.metrics.ready(this.clock.monotonic() - started);
  }

  diskUsageOf(storeId: number): DiskUsage {
    return storeId === this.storeId ? this.#options.diskUsage() : (this.#diskUsages.get(storeId) ?? "Normal");
  }

  unreachable(storeId: number): void {
    const now = this.clock.monotonic();
    const last = this.#unreachableAt.get(storeId);
    // raftstore.unreachable-backoff
    if (last !== undefined && now - last < UNREACHABLE_BACKOFF_MS * this.timeFactor) return;
    this.#unreachableAt.set(storeId, now);
    this.log.info("store.rs:2893", "broadcasting unreachable", {
      store_id: this.storeId,
      unreachable_store_id: storeId,
    });
    for (const peer of this.#peers.values()) {
      const there = peer.region && peerOn(peer.region, storeId);
      if (there) peer.node.reportUnreachable(there.id);
    }
  }

  async stop(): Promise<void> {
    await this.#runner.stop();
    for (const peer of this.#peers.values()) peer.failWaiting();
  }

  // ---------------------------------------------------------------------------------------------- messages

  receive(frame: RaftFrame): void {
    if (frame.to.storeId !== this.storeId) return this.metrics.dropped.inc({ type: "mismatch_store_id" });
    this.#diskUsages.set(frame.from.storeId, frame.diskUsage);
    if (this.#refusedByDisk(frame)) return this.metrics.dropped.inc({ type: "disk_full" });
    const peer = this.#addressee(frame);
    if (peer === null) return;
    const { body, from } = frame;
    if (body.kind === "gone") return this.#onGone(peer, frame);
    if (this.#isFormerMember(peer, frame)) return this.#tellGone(frame, peer.region?.epoch.confVer ?? 0);
    if (body.kind === "read-index") return peer.answerReadIndex(from, body.context);
    if (body.kind === "read-index-reply") return peer.onReadIndex(body.context, body.index);
    if (body.message.type === "snapshot" && this.#overlaps(frame)) return;
    peer.step(from, body.message);
    this.#runner.wake(peer.id);
  }

  /**
   * A store that is not Normal does not take over from one that is; a full one takes no more entries.
   * (tikv/tikv:components/raftstore/src/store/peer.rs, `maybe_reject_transfer_leader_msg`)
   */
  #refusedByDisk({ body, from, to, regionId, diskUsage: theirs }: RaftFrame): boolean {
    const usage = this.#options.diskUsage();
    if (usage === "Normal" || body.kind !== "raft") return false;
    const { message } = body;
    if (message.type === "timeout-now" && theirs === "Normal") {
      const fields = { region_id: regionId, peer_id: to.id, from: from.id, pending_snapshot: false, disk_usage: usage };
      this.log.info("peer.rs:4402", "reject transferring leader", fields);
      return true;
    }
    return usage === "AlreadyFull" && (message.type === "snapshot" || message.entries.length > 0);
  }

  #addressee(frame: RaftFrame): RegionPeer | null {
    const peer = this.#peers.get(frame.regionId);
    if (peer !== undefined && frame.to.id === peer.peerId) return peer;
    if (peer !== undefined && frame.to.id < peer.peerId) return null;
    // Removed and added again under a new id while this store was away.
    if (peer !== undefined) void this.#destroy(peer, frame.epoch.confVer);
    const type = frame.body.kind === "raft" ? frame.body.message.type : null;
    const tombstone = this.#tombstones.get(frame.regionId);
    if (tombstone !== undefined && frame.to.id <= tombstone.peerId) {
      if (tombstone.merged && type !== null && frame.epoch.confVer < tombstone.confVer)
        this.#tellGone(frame, tombstone.confVer);
      return null;
    }
    if (type === "vote" || type === "pre-vote") {
      this.#earlyVotes = [...this.#earlyVotes, frame].slice(-MAX_EARLY_VOTES);
      return null;
    }
    if ((type !== "append" && type !== "heartbeat" && type !== "snapshot") || this.#overlaps(frame)) return null;
    return this.#createEmpty(frame);
  }

  /**
   * Until the split that made the region has been applied here, its range still belongs to the parent. What is becoming
   * a part of the region is not in its way.
   */
  #overlaps(frame: RaftFrame): boolean {
    return [...this.#peers.values()].some(
      ({ id, region, state }) =>
        id !== frame.regionId &&
        region !== null &&
        regionsOverlap(region, frame) &&
        state?.mergingInto?.id !== frame.regionId,
    );
  }

  #isFormerMember(peer: RegionPeer, { from, epoch }: RaftFrame): boolean {
    const { region } = peer;
    return region !== null && epoch.confVer < region.epoch.confVer && !region.peers.some(({ id }) => id === from.id);
  }

  #tellGone({ regionId, from, to, startKey, endKey, epoch, body }: RaftFrame, confVer: number): void {
    this.log.info("peer.rs:2980", "raft message is stale, tell to gc", {
      region_id: regionId,
      from_peer: from.id,
      msg_type: body.kind === "raft" ? body.message.type : body.kind,
    });
    this.#options.send(from.storeId, {
      regionId,
      from: to,
      to: from,
      epoch: { ...epoch, confVer },
      startKey,
      endKey,
      diskUsage: this.#options.diskUsage(),
      body: { kind: "gone" },
    });
  }

  #onGone(peer: RegionPeer, { epoch }: RaftFrame): void {
    if (peer.region !== null && epoch.confVer > peer.region.epoch.confVer) void this.#destroy(peer, epoch.confVer);
  }

  // ---------------------------------------------------------------------------------------------- PeerHost

  send(peer: RegionPeer, messages: readonly RaftMessage[]): void {
    logVoteRequests(this.log, peer.replica, messages);
    for (const message of messages) {
      const to = peer.peer(message.to);
      if (to === undefined) continue;
      if (message.type === "snapshot") logSnapshotSent(this.log, peer.replica, message);
      this.metrics.sent(message.type, this.#sendTo(peer, to, { kind: "raft", message }));
    }
  }

  askReadIndex(peer: RegionPeer, leader: Peer, context: number): void {
    this.#sendTo(peer, leader, { kind: "read-index", context });
  }

  answerReadIndex(peer: RegionPeer, to: Peer, context: number, index: number): void {
    this.#sendTo(peer, to, { kind: "read-index-reply", context, index });
  }

  #sendTo(peer: RegionPeer, to: Peer, body: FrameBody): boolean {
    const { region } = peer;
    const from: Peer = peer.self ?? { id: peer.peerId, storeId: this.storeId, role: "voter" };
    const epoch = region?.epoch ?? { confVer: 0, version: 0 };
    const [startKey, endKey] = [region?.startKey ?? "", region?.endKey ?? ""];
    const diskUsage = this.#options.diskUsage();
    return this.#options.send(to.storeId, { regionId: peer.id, from, to, epoch, startKey, endKey, diskUsage, body });
  }

  onSplit(parent: RegionPeer, parts: readonly SplitOff[]): void {
    for (const { region, values } of parts) void this.#create(new RegionState(region, values), parent.isLeader);
    if (parent.isLeader)
      this.#options.onSplit([...parts.map(({ region }) => region), ...(parent.region ? [parent.region] : [])]);
    this.onChanged(parent, "range");
    const votes = this.#earlyVotes;
    this.#earlyVotes = [];
    for (const frame of votes) this.receive(frame);
  }

  onMerged(target: RegionPeer, source: Region): void {
    const here = this.#peers.get(source.id);
    this.log.info("peer.rs:3840", "merge finished", { region_id: target.id, source_region_id: source.id });
    if (here !== undefined) void this.#destroy(here, source.epoch.confVer, true);
  }

  onChanged(peer: RegionPeer, what: Parameters<PeerHost["onChanged"]>[1]): void {
    if (what === "range") this.#dropAbsorbed(peer);
    if (peer.isLeader) this.#options.onChanged(peer, what);
  }

  /** A snapshot may bring a merge before this store has seen it committed. */
  #dropAbsorbed(target: RegionPeer): void {
    for (const id of target.state?.absorbed ?? []) {
      const peer = this.#peers.get(id);
      if (peer !== undefined) void this.#destroy(peer, peer.region?.epoch.confVer ?? 0, true);
    }
  }

  onRemoved(peer: RegionPeer): void {
    void this.#destroy(peer, peer.region?.epoch.confVer ?? 0);
  }

  wake(regionId: number): void {
    this.#runner.wake(regionId);
  }

  // ---------------------------------------------------------------------------------------------- life of a peer

  #add(regionId: number, peerId: number, restored: Restored, state: RegionState | null): RegionPeer {
    const random = this.#options.random.fork(`${regionId}/${peerId}`);
    const peer = new RegionPeer({ regionId, peerId, restored, state, host: this, random });
    this.#peers.set(regionId, peer);
    this.#runner.add(peer);
    return peer;
  }

  async #create(state: RegionState, campaign: boolean): Promise<void> {
    const { region } = state;
    const own = peerOn(region, this.storeId);
    const existing = this.#peers.get(region.id);
    // After a restart the parent's log is applied again, and what it split off is here already.
    if (own === undefined || existing?.initialized === true || this.#tombstones.has(region.id)) return;
    const ids = (role: Peer["role"]): number[] => region.peers.filter((peer) => peer.role === role).map(({ id }) => id);
    const members = { voters: ids("voter"), learners: ids("learner") };
    // A message may have made a member without a log here before the split came: its vote stays.
    const group = newGroup(members, state.toBytes(), existing?.node.hardState);
    const meta = encodePeerMeta({ kind: "peer", peerId: own.id });
    const written = this.#runner.write({ group: region.id, ...group, meta });
    const peer = this.#add(region.id, own.id, group, state);
    if (campaign) peer.node.campaign();
    this.#runner.wake(region.id);
    await written;
  }

  #createEmpty({ regionId, from, to }: RaftFrame): RegionPeer {
    const meta = encodePeerMeta({ kind: "peer", peerId: to.id });
    void this.#runner.write({ group: regionId, meta });
    this.log.info("peer.rs:1160", "replicate peer", {
      region_id: regionId,
      peer_id: to.id,
      create_by_peer_store_id: from.storeId,
    });
    return this.#add(regionId, to.id, emptyMember(), null);
  }

  #restore({ group, meta, snapshot, hardState, entries }: GroupImage): void {
    const known = meta === null ? null : decodePeerMeta(meta);
    if (known === null) return;
    if (known.kind === "tombstone") this.#tombstones.set(group, known);
    else if (snapshot === null) this.#add(group, known.peerId, { ...emptyMember(), hardState }, null);
    else this.#add(group, known.peerId, { hardState, snapshot, entries }, RegionState.fromBytes(snapshot.data));
  }

  #drop(regionId: number): void {
    this.#peers.get(regionId)?.close();
    this.#peers.delete(regionId);
    this.#runner.remove(regionId);
  }

  #destroy(peer: RegionPeer, confVer: number, merged = false): Promise<void> {
    this.log.info("peer.rs:1440", "begin to destroy peer", { region_id: peer.id, peer_id: peer.peerId });
    this.#drop(peer.id);
    const tombstone: Tombstone = { kind: "tombstone", peerId: peer.peerId, confVer, merged };
    this.#tombstones.set(peer.id, tombstone);
    // Without the tombstone a restart would find a replica that no leader will ever speak to.
    return this.#runner.write({ group: peer.id, removed: true, meta: encodePeerMeta(tombstone) });
  }

  #tombstoneImages(): GroupImage[] {
    const gone = [...this.#tombstones].filter(([regionId]) => !this.#peers.has(regionId));
    return gone.map(([group, tombstone]) => ({
      group,
      hardState: { term: 0, vote: 0, commit: 0 },
      snapshot: null,
      entries: [],
      meta: encodePeerMeta(tombstone),
    }));
  }
}
