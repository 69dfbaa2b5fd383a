import type { Clock } from "../../../../harness/base/clock.ts";
import type { Random } from "../../../../harness/base/random.ts";
import {
  ByteReader,
  ByteWriter,
  decodeConfChange,
  RaftNode,
  type ConfChange,
  type Entry,
  type RaftGroup,
  type RaftMessage,
  type RaftSnapshot,
  type ReadState,
  type Restored,
  type RoleState,
} from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import { decodeCommand, encodeCommand, type Command, type WriteOp } from "./command.ts";
import { fullStores } from "./disk-admission.ts";
import type { DiskUsage } from "./disk-usage.ts";
import { encodePeerMeta } from "./peer-meta.ts";
import type { RaftMetrics } from "./raft-metrics.ts";
import {
  diskFull,
  epochNotMatch,
  notLeader,
  regionNotFound,
  serverIsBusy,
  staleCommand,
  type RegionError,
} from "./region-errors.ts";
import { RegionState, type CasOutcome, type SplitOff } from "./region-state.ts";
import type { Peer, Region } from "./region.ts";

/** What a peer needs of the store that it lives on. */
export interface PeerHost {
  readonly storeId: number;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly metrics: RaftMetrics;
  /** Of this store, or of another one as it last said. */
  diskUsageOf(storeId: number): DiskUsage;
  send(peer: RegionPeer, messages: readonly RaftMessage[]): void;
  onSplit(parent: RegionPeer, parts: readonly SplitOff[]): void;
  /** Its leader, peers or range changed, or a follower caught up: PD should know. */
  onChanged(peer: RegionPeer, what: "role" | "peers" | "range" | "caught-up"): void;
  /** It is no longer a member. */
  onRemoved(peer: RegionPeer): void;
  wake(regionId: number): void;
}

export type WriteResult =
  { readonly ok: true; readonly cas: readonly CasOutcome[] } | { readonly ok: false; readonly error: RegionError };

interface Flow {
  readonly bytesWritten: number;
  readonly keysWritten: number;
  readonly bytesRead: number;
  readonly keysRead: number;
}

const NO_FLOW: Flow = { bytesWritten: 0, keysWritten: 0, bytesRead: 0, keysRead: 0 };

interface Proposal {
  readonly term: number;
  readonly proposedAt: number;
  settle(result: WriteResult): void;
}

interface WaitingRead {
  index: number | null;
  settle(error: RegionError | null): void;
}

const MAX_PROPOSALS = 4096;
/** Entries kept for followers that are a little behind; those further behind get a snapshot. */
const KEEP_ENTRIES = 2_000;
const COMPACT_ABOVE = 4_000;
/** Ticks (raft-base-tick-interval 1 s): raft-election-timeout-ticks 10, raft-heartbeat-ticks 2. */
const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;

/** One replica of one region. Without a region yet (`initialized` false) it waits for its leader's snapshot. */
export class RegionPeer implements RaftGroup {
  readonly id: number;
  readonly peerId: number;
  readonly node: RaftNode;
  readonly #host: PeerHost;
  #state: RegionState | null;
  readonly #proposals = new Map<number, Proposal>();
  readonly #reads = new Map<number, WaitingRead>();
  /** Store of every peer ever heard of: a leader may be one that our configuration does not have yet. */
  readonly #knownPeers = new Map<number, Peer>();
  readonly #heardAt = new Map<number, number>();
  #lastCommit = 0;
  /** When the oldest entry that is committed and not applied was found committed. */
  #committedAt: number | null = null;
  #nextRead = 1;
  #behind = "";
  #flow = NO_FLOW;

  constructor(options: {
    readonly regionId: number;
    readonly peerId: number;
    readonly restored: Restored;
    readonly state: RegionState | null;
    readonly host: PeerHost;
    readonly random: Random;
  }) {
    this.id = options.regionId;
    this.peerId = options.peerId;
    this.#host = options.host;
    this.#state = options.state;
    this.node = new RaftNode({
      id: options.peerId,
      restored: options.restored,
      random: options.random,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      takeSnapshot: () => this.#state?.toBytes() ?? Buffer.alloc(0),
    });
  }

  get initialized(): boolean {
    return this.#state !== null;
  }
  /** Null until initialized. */
  get region(): Region | null {
    return this.#state?.region ?? null;
  }
  get isLeader(): boolean {
    return this.node.isLeader;
  }
  get approximateBytes(): number {
    return this.#state?.values.bytes ?? 0;
  }
  get approximateKeys(): number {
    return this.#state?.values.size ?? 0;
  }
  get state(): RegionState | null {
    return this.#state;
  }

  peer(id: number): Peer | undefined {
    return this.region?.peers.find((peer) => peer.id === id) ?? this.#knownPeers.get(id);
  }

  get leaderPeer(): Peer | undefined {
    const { leader } = this.node.roleState;
    return leader === 0 ? undefined : this.peer(leader);
  }

  // ---------------------------------------------------------------------------------------------- requests

  /** Resolves when a majority has it on disk and this replica has applied it, or with why it was not accepted. */
  write(ops: readonly WriteOp[], version: number): Promise<WriteResult> {
    const refused = this.#refusedByDisk(ops.every(({ kind }) => kind === "delete" || kind === "delete-range"));
    if (refused !== null) return Promise.resolve({ ok: false, error: refused });
    return this.#propose({ kind: "write", version, ops });
  }

  split(
    version: number,
    keys: readonly string[],
    parts: Extract<Command, { kind: "split" }>["parts"],
  ): Promise<WriteResult> {
    const refused = this.#refusedByDisk(true);
    if (refused !== null) return Promise.resolve({ ok: false, error: refused });
    return this.#propose({ kind: "split", version, keys, parts });
  }

  /** Resolves with null once what is applied here is as new as anything acknowledged before the call. */
  readBarrier(): Promise<RegionError | null> {
    return new Promise((resolve) => {
      const context = this.#nextRead++;
      if (!this.node.readIndex(context)) return resolve(this.notLeader());
      this.#reads.set(context, { index: null, settle: resolve });
      this.#host.wake(this.id);
    });
  }

  changePeer(type: "add-voter" | "add-learner" | "remove", peer: Peer): boolean {
    const region = this.region;
    if (region === null) return false;
    const context = new ByteWriter().number(region.epoch.confVer).number(peer.storeId).done();
    const accepted = this.node.proposeConfChange({ steps: [{ type, id: peer.id }], transition: "auto", context });
    this.#host.wake(this.id);
    return accepted !== null;
  }

  notLeader(): RegionError {
    const leader = this.leaderPeer;
    return notLeader(this.id, leader?.id === this.peerId ? undefined : leader);
  }

  /** Where this store's own disk is in the way, leadership goes to one that has room. */
  #refusedByDisk(allowedOnAlmostFull: boolean): RegionError | null {
    const { region } = this;
    if (region === null || !this.isLeader) return null;
    const { storeId } = this.#host;
    const members = region.peers.map((peer) => ({
      id: peer.id,
      storeId: peer.storeId,
      voter: peer.role === "voter",
      usage: this.#host.diskUsageOf(peer.storeId),
    }));
    const own = this.#host.diskUsageOf(storeId);
    const full = fullStores(own, storeId, members, allowedOnAlmostFull);
    if (full.length === 0) return null;
    const other = members.find(({ id, voter, usage }) => id !== this.peerId && voter && usage === "Normal");
    if (full.includes(storeId) && other !== undefined) {
      this.node.transferLeader(other.id);
      this.#host.wake(this.id);
    }
    const option = allowedOnAlmostFull ? "AllowedOnAlmostFull" : "NotAllowedOnFull";
    return diskFull(full, `propose failed: tikv disk full, cmd diskFullOpt=${option}, leader diskUsage=${own}`);
  }

  #propose(command: Command): Promise<WriteResult> {
    if (!this.isLeader) return Promise.resolve({ ok: false, error: this.notLeader() });
    if (this.#proposals.size >= MAX_PROPOSALS)
      return Promise.resolve({ ok: false, error: serverIsBusy("raftstore is busy") });
    const at = this.node.propose(encodeCommand(command));
    if (at === null) return Promise.resolve({ ok: false, error: serverIsBusy("leadership is being transferred") });
    this.#host.metrics.proposals.inc({ type: "normal" });
    return new Promise((settle) => {
      this.#proposals.set(at.index, { term: at.term, proposedAt: this.#host.clock.monotonic(), settle });
      this.#host.wake(this.id);
    });
  }

  /** A value of `bytes` was read. */
  countRead(bytes: number): void {
    this.#count({ bytesRead: bytes, keysRead: 1 });
  }

  /** What was read and written since the last call. */
  takeFlow(): Flow {
    const flow = this.#flow;
    this.#flow = NO_FLOW;
    return flow;
  }

  #count(more: Partial<Flow>): void {
    const { bytesWritten, keysWritten, bytesRead, keysRead } = this.#flow;
    this.#flow = {
      bytesWritten: bytesWritten + (more.bytesWritten ?? 0),
      keysWritten: keysWritten + (more.keysWritten ?? 0),
      bytesRead: bytesRead + (more.bytesRead ?? 0),
      keysRead: keysRead + (more.keysRead ?? 0),
    };
  }

  // ---------------------------------------------------------------------------------------------- raft's side

  #heard(from: Peer): void {
    this.#knownPeers.set(from.id, from);
    this.#heardAt.set(from.id, this.#host.clock.monotonic());
  }

  /** Milliseconds since the last message of this peer; null = never. */
  silentMs(peerId: number): number | null {
    const at = this.#heardAt.get(peerId);
    return at === undefined ? null : this.#host.clock.monotonic() - at;
  }

  send(messages: readonly RaftMessage[]): void {
    this.#host.send(this, messages);
  }

  meta(): Buffer {
    return encodePeerMeta({ kind: "peer", peerId: this.peerId });
  }

  apply(entries: readonly Entry[]): void {
    const { metrics, clock } = this.#host;
    const started = clock.monotonic();
    if (this.#committedAt !== null) metrics.applyWait(started - this.#committedAt);
    this.#committedAt = null;
    this.#applyAll(entries, started);
    metrics.applyLog(clock.monotonic() - started);
  }

  #applyAll(entries: readonly Entry[], started: number): void {
    for (const entry of entries) {
      const proposal = this.#proposals.get(entry.index);
      if (proposal?.term === entry.term) this.#host.metrics.commitLog(started - proposal.proposedAt);
      // What was queued under the rewritten part of the log will never come.
      if (entry.kind === "conf") this.#applyConf(entry);
      else this.#settle(entry, entry.data.length === 0 ? { ok: true, cas: [] } : this.#applyCommand(entry.data));
    }
    this.#serveReads(entries.at(-1)?.index ?? 0);
    if (this.node.lastIndex - this.node.firstIndex > COMPACT_ABOVE)
      this.node.compact(this.node.appliedIndex - KEEP_ENTRIES);
    this.noticeFollowers();
  }

  restore(snapshot: RaftSnapshot): void {
    this.#state = RegionState.fromBytes(snapshot.data);
    this.#host.log.info("apply.rs:1630", "apply snapshot done", { region_id: this.id, peer_id: this.peerId });
    this.#host.onChanged(this, "range");
  }

  onRole({ role, term, leader }: RoleState): void {
    const fields = { raft_id: this.peerId, region_id: this.id, peer_id: this.peerId, term };
    const { log } = this.#host;
    if (role === "leader") log.info("raft.rs:1743", "became leader at term", fields);
    else if (role === "pre-candidate") {
      log.info("raft.rs:1570", "starting a new election", fields);
      log.info("raft.rs:1170", "became pre-candidate at term", fields);
    } else if (role === "candidate") log.info("raft.rs:1149", "became candidate at term", fields);
    else log.info("raft.rs:1127", "became follower at term", { ...fields, leader_id: leader });
    if (role !== "leader") this.failWaiting();
    if (role === "leader") this.#host.onChanged(this, "role");
  }

  onReads(states: readonly ReadState[]): void {
    for (const { context, index } of states) {
      const read = this.#reads.get(context);
      if (read !== undefined) read.index = index;
    }
    this.#serveReads(this.node.appliedIndex);
  }

  /** Answers everybody who waits: their requests may or may not take effect under another leader. */
  failWaiting(): void {
    for (const { settle } of this.#proposals.values()) settle({ ok: false, error: staleCommand() });
    this.#proposals.clear();
    for (const { settle } of this.#reads.values()) settle(this.notLeader());
    this.#reads.clear();
  }

  /** The peer is being destroyed. */
  close(): void {
    for (const { settle } of this.#proposals.values()) settle({ ok: false, error: regionNotFound(this.id) });
    for (const { settle } of this.#reads.values()) settle(regionNotFound(this.id));
    this.#proposals.clear();
    this.#reads.clear();
  }

  /** A message of another member. */
  step(from: Peer, message: RaftMessage): void {
    this.#heard(from);
    this.node.step(message);
    this.noticeCommit();
    if (this.#behind !== "" && message.type === "append-reply") this.noticeFollowers();
  }

  /** Entries that the slowest member has not got yet. */
  logLag(): number {
    return this.node.lastIndex - Math.min(this.node.lastIndex, ...this.node.members().map(({ match }) => match));
  }

  /** To be called after whatever may have moved the commit index. */
  noticeCommit(): void {
    const { commit } = this.node.hardState;
    if (commit === this.#lastCommit) return;
    this.#lastCommit = commit;
    this.#committedAt ??= this.#host.clock.monotonic();
  }

  /** Tells PD when the set of followers that need a snapshot is not what PD was told last. */
  noticeFollowers(): void {
    if (this.isLeader && this.#followersBehind().join() !== this.#behind) this.#host.onChanged(this, "caught-up");
  }

  /** Followers that need a snapshot, for PD. A new leader knows of none that it has what it needs, and says so. */
  tellBehind(): ReadonlySet<number> {
    const behind = this.#followersBehind();
    this.#behind = behind.join();
    return new Set(behind);
  }

  #followersBehind(): number[] {
    return this.node.members().flatMap(({ id, behindLog }) => (behindLog ? [id] : []));
  }

  #applyCommand(data: Buffer): WriteResult {
    const state = this.#state;
    if (state === null) return { ok: false, error: staleCommand() };
    const command = decodeCommand(data);
    if (command.version !== state.region.epoch.version) return { ok: false, error: epochNotMatch([state.region]) };
    if (command.kind === "write") {
      const cas = state.write(command.ops);
      this.#count({ bytesWritten: data.length, keysWritten: command.ops.length });
      return { ok: true, cas };
    }
    const parts = state.split(command);
    this.#host.log.info("apply.rs:1900", "split region", {
      region_id: this.id,
      peer_id: this.peerId,
      count: parts.length,
    });
    this.#host.onSplit(this, parts);
    return { ok: true, cas: [] };
  }

  #applyConf(entry: Entry): void {
    const change = decodeConfChange(entry.data);
    const result = this.#tryConf(change);
    this.#settle(entry, result);
    const { region } = this;
    if (region === null || !result.ok) return;
    if (region.peers.some((peer) => peer.id === this.peerId)) this.#host.onChanged(this, "peers");
    else this.#host.onRemoved(this);
  }

  #tryConf(change: ConfChange): WriteResult {
    const [step] = change.steps;
    if (this.#state === null || step === undefined) return { ok: false, error: staleCommand() };
    const reader = new ByteReader(change.context);
    const [confVer, storeId] = [reader.number(), reader.number()];
    if (confVer !== this.#state.region.epoch.confVer) return { ok: false, error: epochNotMatch([this.#state.region]) };
    this.#state.changePeer(step.type, { id: step.id, storeId, role: "voter" });
    this.node.applyConfChange(change);
    const fields = { region_id: this.id, peer_id: this.peerId, change_type: step.type, changed_peer: step.id };
    this.#host.log.info("apply.rs:2200", "exec ConfChange", fields);
    return { ok: true, cas: [] };
  }

  #settle(entry: Entry, result: WriteResult): void {
    const proposal = this.#proposals.get(entry.index);
    if (proposal === undefined) return;
    this.#proposals.delete(entry.index);
    proposal.settle(proposal.term === entry.term ? result : { ok: false, error: staleCommand() });
  }

  #serveReads(applied: number): void {
    for (const [context, { index, settle }] of this.#reads) {
      if (index === null || index > applied) continue;
      this.#reads.delete(context);
      settle(null);
    }
  }

  /** For the status server. */
  describe(): Record<string, unknown> {
    const { role, term, leader } = this.node.roleState;
    const { vote, commit } = this.node.hardState;
    const { conf } = this.node;
    return {
      id: this.id,
      peer_id: this.peerId,
      raft_status: {
        id: this.peerId,
        hard_state: { term, vote, commit },
        soft_state: { leader_id: leader, raft_state: stateName(role) },
        applied: this.node.appliedIndex,
        voters: Object.fromEntries(this.node.members().map(({ id, match }) => [id, { matched: match }])),
        learners: conf.learners,
      },
      raft_apply: { applied_index: this.node.appliedIndex, commit_index: commit },
      region_state: { state: "Normal", region: this.region },
    };
  }
}

function stateName(role: RoleState["role"]): string {
  return { leader: "Leader", follower: "Follower", candidate: "Candidate", "pre-candidate": "PreCandidate" }[role];
}
