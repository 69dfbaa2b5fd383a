import {
  decodeConfChange,
  Membership,
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
import type { Random } from "../../../../harness/base/random.ts";
import { confChange, readPeerChanges, refusedChange, type PeerChanges } from "./change-peers.ts";
import { decodeCommand, encodeCommand, type Command, type SplitPart, type WriteOp } from "./command.ts";
import { MembersHeard } from "./members-heard.ts";
import { logHigherTerm, logRole, logSnapshotApplied, logUncommitted } from "./raft-lines.ts";
import { fullStores } from "./disk-admission.ts";
import type { PeerHost, WriteResult } from "./peer-host.ts";
import { FlowMeter } from "./peer-flow.ts";
import { forgetUpTo } from "./log-keeping.ts";
import { encodePeerMeta } from "./peer-meta.ts";
import { PeerReads } from "./peer-reads.ts";
import {
  diskFull,
  epochNotMatch,
  notLeader,
  proposalDropped,
  proposalInMergingMode,
  raftstoreIsBusy,
  readIndexNotReady,
  recoveryInProgress,
  regionNotFound,
  staleCommand,
  type RegionError,
} from "./region-errors.ts";
import { RegionState } from "./region-state.ts";
import { isJoint, sameEpoch, type Peer, type Region } from "./region.ts";
import { WaitingProposals } from "./waiting.ts";

const MAX_PROPOSALS = 4096;
/** raftstore.raft-base-tick-interval */
export const TICK_MS = 1_000;
/** Ticks: raft-election-timeout-ticks, raft-heartbeat-ticks. */
const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;
/** raftstore.raft-store-max-leader-lease; nobody helps another to lead for an election time-out. */
const LEASE_MS = 9_000;

const DONE: WriteResult = { ok: true, cas: [] };

/** raftstore.long-uncommitted-base-threshold */
const LONG_UNCOMMITTED_MS = 20_000;

/** One replica of one region. Without a region yet (`initialized` false) it waits for its leader's snapshot. */
export class RegionPeer implements RaftGroup {
  readonly id: number;
  readonly peerId: number;
  readonly node: RaftNode;
  /** What is read here, whoever leads: for the store's heartbeat. */
  readonly readFlow = new FlowMeter();
  /** For the region's heartbeat. */
  readonly flow: FlowMeter;
  readonly members: MembersHeard;
  readonly #host: PeerHost;
  readonly #proposals = new WaitingProposals();
  readonly #reads: PeerReads;
  #state: RegionState | null;
  #role: RoleState["role"] = "follower";
  #term = 0;
  /** Proposals older than this are warned of next. */
  #uncommittedMs = 0;
  /** When the oldest entry that is committed and not applied was found committed. */
  #committedAt: number | null = null;
  #behind = "";
  #isForced = false;
  /** Where the last step of a merge stands in the log. */
  #lastMerge = { term: 0, index: 0 };
  #leaderlessSinceMs: number | null;

  constructor(options: {
    readonly regionId: number;
    readonly peerId: number;
    readonly restored: Restored;
    readonly state: RegionState | null;
    readonly host: PeerHost;
    readonly random: Random;
  }) {
    const { clock, timeFactor } = options.host;
    this.id = options.regionId;
    this.peerId = options.peerId;
    this.#host = options.host;
    this.#term = options.restored.hardState.term;
    this.#state = options.state;
    this.members = new MembersHeard(clock);
    this.flow = new FlowMeter(this.readFlow, options.host.flow);
    this.#leaderlessSinceMs = clock.monotonic();
    this.node = new RaftNode({
      id: options.peerId,
      restored: options.restored,
      random: options.random,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      lease: {
        monotonic: () => clock.monotonic(),
        leaseMs: LEASE_MS * timeFactor,
        promiseMs: ELECTION_TICKS * TICK_MS * timeFactor,
      },
      takeSnapshot: () => this.#takeSnapshot(),
    });
    this.#reads = new PeerReads(this, this.node, options.host);
  }

  /** As log lines name it. */
  get replica(): { readonly regionId: number; readonly peerId: number } {
    return { regionId: this.id, peerId: this.peerId };
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
  /** Monotonic; null while it hears of a leader. Who may not stand for election keeps the last one it knew of. */
  get leaderlessSinceMs(): number | null {
    const { leader } = this.node.roleState;
    if (leader === 0 || leader === this.peerId) return this.#leaderlessSinceMs;
    const silentMs = this.members.silentMs(leader);
    const patienceMs = 2 * ELECTION_TICKS * TICK_MS * this.#host.timeFactor;
    return silentMs > patienceMs ? this.#host.clock.monotonic() - silentMs : null;
  }
  /** It leads, or tries to, without a majority of its voters: PD is recovering the region. */
  get isForced(): boolean {
    return this.#isForced;
  }

  peer(id: number): Peer | undefined {
    return this.region?.peers.find((peer) => peer.id === id) ?? this.members.peer(id);
  }

  get self(): Peer | undefined {
    return this.region?.peers.find(({ id }) => id === this.peerId);
  }

  get leaderPeer(): Peer | undefined {
    const { leader } = this.node.roleState;
    return leader === 0 ? undefined : this.peer(leader);
  }

  // ---------------------------------------------------------------------------------------------- requests

  /** Resolves when a majority has it on disk and this replica has applied it, or with why it was not accepted. */
  write(ops: readonly WriteOp[], version: number, allowedOnAlmostFull: boolean): Promise<WriteResult> {
    return this.#propose({ kind: "write", version, ops }, allowedOnAlmostFull);
  }

  split(epoch: Region["epoch"], keys: readonly string[], parts: readonly SplitPart[]): Promise<WriteResult> {
    return this.#propose({ kind: "split", epoch, keys, parts }, true);
  }

  /** The steps of a merge (`driveMerge` says when). One at a time: asked again before it is applied, nothing happens. */
  merge(command: () => Extract<Command, { kind: "prepare-merge" | "commit-merge" | "rollback-merge" }>): void {
    const { term } = this.node.roleState;
    if (this.#lastMerge.term === term && this.#lastMerge.index > this.node.appliedIndex) return;
    void this.#propose(command(), true);
    this.#lastMerge = { term, index: this.node.lastIndex };
  }

  /** Resolves with null once what is applied here is as new as anything acknowledged before the call. */
  readBarrier(): Promise<RegionError | null> {
    if (this.#state?.mergingInto) return Promise.resolve(this.#frozen());
    return this.#isForced ? Promise.resolve(recoveryInProgress(this.id)) : this.#reads.barrier();
  }

  /** A follower wants to know from which index on it may answer. */
  answerReadIndex(from: Peer, context: number): void {
    if (this.isLeader && !this.#state?.mergingInto && !this.#isForced) this.#reads.answer(from, context);
  }

  /** The leader's answer to `readBarrier`. */
  onReadIndex(context: number, index: number): void {
    this.#reads.onAnswer(context, index);
  }

  /** To be called on every tick: what was asked of a leader may have been lost. */
  askAgain(): void {
    this.#reads.askAgain();
  }

  /** @returns why it is not even proposed, or null. */
  changePeers(changes: PeerChanges): string | null {
    const region = this.region;
    if (region === null || !this.isLeader) return "peer is not leader";
    if (this.#state?.mergingInto) return "in merging mode, can't do proposal";
    const refused = refusedChange(region, changes, this.peerId);
    if (refused !== null) return refused;
    const change = confChange(region.epoch, changes);
    if (!this.#staysHealthy(change)) return "unsafe to perform conf change";
    const accepted = this.node.proposeConfChange(change);
    this.#host.wake(this.id);
    return accepted === null ? "there is a pending conf change" : null;
  }

  /** Leads without what was on these stores; nothing is read or written meanwhile. */
  leadByForce(failedStores: ReadonlySet<number>): void {
    const gone = this.region?.peers.filter(({ storeId }) => failedStores.has(storeId)) ?? [];
    this.#host.log.info("peer.rs:1620", "enter force leader state", { region_id: this.id, peer_id: this.peerId });
    this.#isForced = true;
    this.node.countWithout(new Set(gone.map(({ id }) => id)));
    this.#host.wake(this.id);
  }

  /** Majorities count again as they are. */
  endForce(): void {
    if (!this.#isForced) return;
    this.#host.log.info("peer.rs:1900", "exit force leader state", { region_id: this.id, peer_id: this.peerId });
    this.#isForced = false;
    this.node.countWithout(new Set());
    this.#host.wake(this.id);
  }

  /** After the change a majority still has what the log no longer holds (raftstore's `check_conf_change`). */
  #staysHealthy(change: ConfChange): boolean {
    const { conf } = this.node;
    if (change.steps.length === 0 || conf.voters.length === 1 || this.#isForced) return true;
    const healthy = new Set(this.node.members().flatMap(({ id, behindLog }) => (behindLog ? [] : [id])));
    return new Membership(conf).changed(change).hasQuorum((id) => healthy.has(id));
  }

  notLeader(): RegionError {
    const leader = this.leaderPeer;
    return notLeader(this.id, leader?.id === this.peerId ? undefined : leader);
  }

  #frozen(): RegionError {
    return readIndexNotReady(this.id, "can not read index due to merge");
  }

  #propose(command: Command, allowedOnAlmostFull: boolean): Promise<WriteResult> {
    const error = this.#refusal(command, allowedOnAlmostFull);
    if (error !== null) return Promise.resolve({ ok: false, error });
    this.#host.metrics.proposals.inc({ type: "normal" });
    const at = this.node.propose(encodeCommand(command));
    if (at === null) return Promise.resolve({ ok: false, error: proposalDropped() });
    const settled = this.#proposals.add(at, this.#host.clock.monotonic());
    this.#host.wake(this.id);
    return settled;
  }

  #refusal(command: Command, allowedOnAlmostFull: boolean): RegionError | null {
    if (!this.isLeader) return this.notLeader();
    if (this.#isForced) return recoveryInProgress(this.id);
    if (this.#state?.mergingInto && command.kind !== "rollback-merge") return proposalInMergingMode(this.id);
    if (command.kind === "split" && this.#state !== null && isJoint(this.#state.region))
      return { message: `region ${this.id} is in joint state, can't split` };
    if (this.#proposals.size >= MAX_PROPOSALS) return raftstoreIsBusy();
    return this.#refusedByDisk(allowedOnAlmostFull);
  }

  /** Where this store's own disk is in the way, leadership goes to one that has room. */
  #refusedByDisk(allowedOnAlmostFull: boolean): RegionError | null {
    const { region } = this;
    // Nearly always: nothing to weigh.
    if (region === null || region.peers.every((peer) => this.#host.diskUsageOf(peer.storeId) === "Normal")) return null;
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

  // ---------------------------------------------------------------------------------------------- raft's side

  send(messages: readonly RaftMessage[]): void {
    this.#host.send(this, messages);
  }

  meta(): Buffer {
    return encodePeerMeta({ kind: "peer", peerId: this.peerId });
  }

  apply(entries: readonly Entry[]): void {
    const { metrics, clock } = this.#host;
    const started = clock.monotonic();
    metrics.applyWait(started - (this.#committedAt ?? started));
    this.#committedAt = null;
    this.#applyAll(entries, started);
    metrics.applyLog(clock.monotonic() - started);
  }

  #applyAll(entries: readonly Entry[], started: number): void {
    for (const entry of entries) {
      const proposedAt = this.#proposals.proposedAt(entry.index, entry.term);
      if (proposedAt !== null) this.#host.metrics.commitLog(started - proposedAt);
      // What was queued under the rewritten part of the log will never come.
      if (entry.kind === "conf") this.#applyConf(entry);
      else this.#settle(entry, entry.data.length === 0 ? DONE : this.#applyCommand(entry.data));
    }
    this.#reads.serve(entries.at(-1)?.index ?? 0);
    this.#forgetLog();
    this.noticeFollowers();
  }

  #forgetLog(): void {
    const { firstIndex, appliedIndex } = this.node;
    const matches = this.node.members().map(({ match }) => match);
    const to = forgetUpTo(firstIndex, appliedIndex, matches);
    if (to !== null) this.node.compact(to);
  }

  #takeSnapshot(): Buffer {
    const { clock, metrics } = this.#host;
    const started = clock.monotonic();
    const bytes = this.#state?.toBytes() ?? Buffer.alloc(0);
    metrics.snapshot("generate", clock.monotonic() - started);
    return bytes;
  }

  restore(snapshot: RaftSnapshot): void {
    const { clock, metrics } = this.#host;
    const started = clock.monotonic();
    this.#state = RegionState.fromBytes(snapshot.data);
    metrics.snapshot("apply", clock.monotonic() - started);
    logSnapshotApplied(this.#host.log, this.replica, clock.monotonic() - started);
    this.#host.onChanged(this, "range");
  }

  onRole(state: RoleState): void {
    const { role, term, leader } = state;
    const { log, clock } = this.#host;
    // A follower that merely learns who leads has not become anything.
    if (role !== this.#role || term !== this.#term) logRole(log, this.replica, state);
    this.#role = role;
    this.#term = term;
    if (leader !== 0) this.#leaderlessSinceMs = null;
    else this.#leaderlessSinceMs ??= clock.monotonic();
    if (role !== "leader") this.failWaiting();
    if (role !== "leader") return;
    // What was counted under another leader has been reported by it.
    this.flow.take();
    if (this.region !== null) this.members.startWatching(this.region);
    this.#host.onChanged(this, "role");
  }

  onReads(states: readonly ReadState[]): void {
    this.#reads.onReads(states);
  }

  /** Answers everybody who waits: their requests may or may not take effect under another leader. */
  failWaiting(): void {
    this.#proposals.failAll(staleCommand());
    this.#reads.failAll(this.notLeader());
  }

  /** The peer is being destroyed. */
  close(): void {
    this.#proposals.failAll(regionNotFound(this.id));
    this.#reads.failAll(regionNotFound(this.id));
  }

  /** A message of another member. */
  step(from: Peer, message: RaftMessage): void {
    this.members.heard(from);
    if (message.term > this.#term && message.type !== "pre-vote" && message.type !== "pre-vote-reply")
      logHigherTerm(this.#host.log, this.replica, message, this.#term);
    this.node.step(message);
    this.noticeCommit();
    if (this.#behind !== "" && message.type === "append-reply") this.noticeFollowers();
  }

  /** Warns of proposals that no majority takes, less and less often (raftstore.long-uncommitted-base-threshold). */
  noticeUncommitted(): void {
    const { clock, log, timeFactor } = this.#host;
    const since = this.#proposals.oldestSinceMs;
    const base = LONG_UNCOMMITTED_MS * timeFactor;
    if (since === null || clock.monotonic() - since < base) this.#uncommittedMs = base;
    if (since === null || clock.monotonic() - since < this.#uncommittedMs) return;
    this.#uncommittedMs += base;
    logUncommitted(log, this.replica, { matches: this.node.members(), nextThresholdMs: this.#uncommittedMs });
  }

  /** Entries that the slowest member has not got yet. */
  logLag(): number {
    return this.node.lastIndex - Math.min(this.node.lastIndex, ...this.node.members().map(({ match }) => match));
  }

  /** To be called after whatever may have moved the commit index. */
  noticeCommit(): void {
    if (this.node.commitIndex > this.node.appliedIndex) this.#committedAt ??= this.#host.clock.monotonic();
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
    const { epoch } = state.region;
    const sent = command.kind === "write" ? { confVer: epoch.confVer, version: command.version } : command.epoch;
    if (!sameEpoch(sent, epoch)) return { ok: false, error: epochNotMatch([state.region], sent) };
    if (command.kind === "write") {
      const cas = state.write(command.ops);
      this.flow.wrote(data.length, command.ops.length);
      return { ok: true, cas };
    }
    this.#applyAdmin(state, command);
    return DONE;
  }

  #applyAdmin(state: RegionState, command: Exclude<Command, { kind: "write" }>): void {
    const { log, metrics } = this.#host;
    const fields = { region_id: this.id, peer_id: this.peerId };
    metrics.adminCommand(command.kind);
    switch (command.kind) {
      case "split": {
        const parts = state.split(command);
        log.info("apply.rs:1900", "split region", { ...fields, count: parts.length });
        return this.#host.onSplit(this, parts);
      }
      case "prepare-merge":
        state.prepareMerge(command.target);
        log.info("apply.rs:2560", "execute PrepareMerge", { ...fields, target_region_id: command.target.id });
        this.#reads.failAll(this.#frozen());
        break;
      case "commit-merge":
        state.commitMerge(command);
        log.info("apply.rs:2680", "execute CommitMerge", { ...fields, source_region_id: command.source.id });
        this.#host.onMerged(this, command.source);
        break;
      case "rollback-merge":
        state.rollbackMerge();
        log.info("apply.rs:2830", "execute RollbackMerge", fields);
        break;
    }
    this.#host.onChanged(this, "range");
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
    const state = this.#state;
    if (state === null) return { ok: false, error: staleCommand() };
    const { confVer, changes } = readPeerChanges(change.context);
    const { epoch } = state.region;
    const sent = { confVer, version: epoch.version };
    if (!sameEpoch(sent, epoch)) return { ok: false, error: epochNotMatch([state.region], sent) };
    const fields = { region_id: this.id, peer_id: this.peerId };
    const kind = changes.length === 0 ? "LeaveJoint" : changes.length === 1 ? "Simple" : "EnterJoint";
    this.#host.log.info("apply.rs:2200", "exec ConfChangeV2", { ...fields, kind, epoch: `conf_ver: ${confVer}` });
    const changed = state.changePeers(changes);
    if ("refused" in changed) {
      this.#host.log.error("apply.rs:2260", "conf change refused", { ...fields, err: changed.refused });
      return { ok: false, error: { message: changed.refused } };
    }
    this.node.applyConfChange(change);
    this.#host.metrics.adminCommand("conf-change");
    this.#host.log.info("apply.rs:2340", "conf change successfully", {
      ...fields,
      peers: changed.region.peers.map(({ id, storeId, role }) => `${id}@${storeId} ${role}`).join(),
    });
    return DONE;
  }

  #settle(entry: Entry, result: WriteResult): void {
    this.#proposals.settle(entry.index, entry.term, result, staleCommand());
  }
}
