import type { Random } from "../../../harness/base/random.ts";
import { encodeConfChange } from "./codec.ts";
import { Progress, quorumValue } from "./progress.ts";
import { RaftLog } from "./raft-log.ts";
import { ReadQueue } from "./read-queue.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  MessageType,
  RaftMessage,
  RaftSnapshot,
  ReadState,
  Ready,
  Role,
  RoleState,
} from "./types.ts";

/** What was on disk: log, votes and the snapshot that the log follows. */
export interface Restored {
  readonly hardState: HardState;
  readonly snapshot: Pick<RaftSnapshot, "index" | "term" | "conf">;
  readonly entries: readonly Entry[];
}

export interface RaftNodeOptions {
  readonly id: number;
  readonly restored: Restored;
  readonly random: Random;
  /** An election starts after this many ticks, randomised up to twice as many, without a leader. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** The state machine as of the last `applied` index; asked for when a follower is behind the compacted log. */
  takeSnapshot(): Buffer;
}

/** Progress of one member as its leader sees it. */
export interface MemberStatus {
  readonly id: number;
  readonly match: number;
  /** It cannot be served from the log: a snapshot is under way or due. */
  readonly behindLog: boolean;
  readonly active: boolean;
}

const MAX_APPEND_BYTES = 1 << 20;
const MAX_DELIVERED = 512;
const MAX_AHEAD_ENTRIES = 4096;

/**
 * One member of one Raft group: a deterministic state machine without I/O and without time (Ongaro & Ousterhout 2014,
 * with the refinements of etcd-raft: pre-vote, check-quorum, leader transfer, read index). Call `tick` at a steady
 * pace, `step` for every message that arrives, and after each call take `ready` until `hasReady` is false.
 */
export class RaftNode {
  readonly id: number;
  readonly #options: RaftNodeOptions;
  readonly #log: RaftLog;
  readonly #reads = new ReadQueue();
  #voters: Set<number>;
  #learners: Set<number>;
  #progress = new Map<number, Progress>();
  #votes = new Map<number, boolean>();
  #role: Role = "follower";
  #term: number;
  #vote: number;
  #leader = 0;
  #transferee = 0;
  /** Asked whether it is there to take over; nothing is held back for it yet. */
  #asked = 0;
  #pendingConfIndex = 0;
  #electionElapsed = 0;
  #heartbeatElapsed = 0;
  #patience = 0;

  #durable: HardState;
  #sequence = 0;
  #rewrittenAt = 0;
  #incoming: RaftSnapshot | null = null;
  /** Index of a snapshot that the application has not taken yet; 0 = none. */
  #restoring = 0;
  #offeredState: HardState;
  #announced: RoleState;
  #beforePersist: RaftMessage[] = [];
  #messages: RaftMessage[] = [];
  #readStates: ReadState[] = [];

  constructor(options: RaftNodeOptions) {
    const { hardState, snapshot, entries } = options.restored;
    this.#options = options;
    this.id = options.id;
    this.#log = new RaftLog(snapshot, entries, hardState.commit);
    this.#voters = new Set(snapshot.conf.voters);
    this.#learners = new Set(snapshot.conf.learners);
    this.#term = Math.max(hardState.term, snapshot.term);
    this.#vote = hardState.term === this.#term ? hardState.vote : 0;
    this.#durable = this.#offeredState = { term: this.#term, vote: this.#vote, commit: this.#log.commit };
    this.#announced = this.roleState;
    this.#resetElection();
  }

  get roleState(): RoleState {
    return { role: this.#role, term: this.#term, leader: this.#leader };
  }
  get isLeader(): boolean {
    return this.#role === "leader";
  }
  get conf(): ConfState {
    return { voters: [...this.#voters], learners: [...this.#learners] };
  }
  get hardState(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.#log.commit };
  }
  get lastIndex(): number {
    return this.#log.lastIndex;
  }
  get firstIndex(): number {
    return this.#log.firstIndex;
  }
  get commitIndex(): number {
    return this.#log.commit;
  }
  get appliedIndex(): number {
    return this.#log.applied;
  }
  /** The member that leadership is being handed to; 0 = none. Proposals are refused meanwhile. */
  get transferee(): number {
    return this.#transferee === 0 ? this.#asked : this.#transferee;
  }
  /** Has a majority on disk for an entry of its own term: only then is what it has applied up to date. */
  get leadsFirmly(): boolean {
    return this.isLeader && this.#log.term(this.#log.commit) === this.#term;
  }

  /** Empty unless leader. */
  members(): MemberStatus[] {
    return [...this.#progress].map(([id, { match, state, active }]) => ({
      id,
      match,
      behindLog: id !== this.id && (state === "snapshot" || match < this.#log.firstIndex - 1),
      active: id === this.id || active,
    }));
  }

  termOf(index: number): number | null {
    return this.#log.term(index);
  }

  /** For writing the whole group anew. Null while a snapshot is on its way into the application. */
  image(): { hardState: HardState; snapshot: RaftSnapshot; entries: Entry[] } | null {
    if (this.#restoring > 0) return null;
    const { applied, lastIndex } = this.#log;
    return {
      hardState: this.hardState,
      snapshot: this.#snapshotNow(),
      entries: this.#log.slice(applied + 1, lastIndex),
    };
  }

  /** Forgets the log up to `index` (never more than was applied); a follower behind it is sent a snapshot. */
  compact(index: number): void {
    this.#log.compact(index);
  }

  // ---------------------------------------------------------------------------------------------- what users ask

  tick(): void {
    this.#electionElapsed++;
    if (this.#role === "leader") return this.#tickLeader();
    if (this.#electionElapsed >= this.#patience) this.campaign();
  }

  /** Stands for election now instead of waiting for the time-out. No effect on a leader or a non-voter. */
  campaign(): void {
    if (this.#mayStand) this.#startElection("pre-candidate", 0);
  }

  /** @returns where the entry will stand if it is committed, or null when this member does not lead (firmly enough). */
  propose(data: Buffer): { readonly index: number; readonly term: number } | null {
    if (data.length === 0) throw new RangeError("an empty proposal cannot be told from a leader's own entry");
    return this.#propose("normal", data);
  }

  /** Null also while another change is under way. */
  proposeConfChange(change: ConfChange): { readonly index: number; readonly term: number } | null {
    if (change.steps.length !== 1) throw new RangeError("one membership step at a time");
    if (this.#pendingConfIndex > this.#log.applied) return null;
    const at = this.#propose("conf", encodeConfChange(change));
    if (at !== null) this.#pendingConfIndex = at.index;
    return at;
  }

  /**
   * To be called while applying a `conf` entry; the application may decide otherwise and not call it.
   * @returns the configuration from now on.
   */
  applyConfChange(change: ConfChange): ConfState {
    for (const { type, id } of change.steps) {
      this.#voters.delete(id);
      this.#learners.delete(id);
      if (type === "add-voter") this.#voters.add(id);
      if (type === "add-learner") this.#learners.add(id);
    }
    if (this.isLeader) this.#followConf();
    return this.conf;
  }

  /** A read may be answered at the index that a later `readStates` names for `context`. @returns false if not leader. */
  readIndex(context: number): boolean {
    if (!this.isLeader) return false;
    if (this.leadsFirmly) this.#reads.add(context, this.#log.commit);
    else this.#reads.hold(context);
    return true;
  }

  /**
   * Hands leadership to a voter, given up after an election time-out. The voter is asked first: while it has not
   * answered, proposals go on, so that a transfer to a dead member costs nothing (as TiKV does: `pre_transfer_leader`,
   * components/raftstore/src/store/peer.rs). @returns false when it cannot be tried.
   */
  transferLeader(to: number): boolean {
    if (!this.isLeader || !this.#progress.has(to) || !this.#voters.has(to) || to === this.id) return false;
    this.#asked = to;
    this.#sendHeartbeat(to);
    return true;
  }

  /** The transport could not deliver to this member: its entries are sent again one by one. */
  reportUnreachable(id: number): void {
    const progress = this.#progress.get(id);
    if (progress !== undefined && id !== this.id) progress.probe();
  }

  // ---------------------------------------------------------------------------------------------- work handed out

  hasReady(): boolean {
    const log = this.#log;
    return (
      this.#messages.length + this.#beforePersist.length + this.#readStates.length > 0 ||
      log.offered < log.lastIndex ||
      this.#incoming !== null ||
      this.#stateToPersist() !== null ||
      this.#deliverable() > log.delivered ||
      this.#reads.startRoundDue ||
      !sameRole(this.#announced, this.roleState)
    );
  }

  ready(): Ready {
    const log = this.#log;
    if (this.#reads.startRound()) this.#sendHeartbeats();
    const committed = log.slice(log.delivered + 1, this.#deliverable());
    log.delivered += committed.length;
    const entries = log.slice(log.offered + 1, log.lastIndex);
    log.offered = log.lastIndex;
    const changed = this.#stateToPersist();
    const snapshot = this.#incoming;
    this.#incoming = null;
    // The commit index travels for free with whatever else is written; it saves replay work after a restart.
    const hardState = changed ?? (entries.length > 0 || snapshot !== null ? this.hardState : null);
    if (hardState !== null) this.#offeredState = hardState;
    const roleState = sameRole(this.#announced, this.roleState) ? null : this.roleState;
    this.#announced = this.roleState;
    const ready: Ready = {
      sequence: ++this.#sequence,
      hardState,
      entries,
      snapshot,
      beforePersist: this.#beforePersist,
      messages: this.#messages,
      committed,
      readStates: this.#readStates,
      roleState,
    };
    this.#beforePersist = [];
    this.#messages = [];
    this.#readStates = [];
    return ready;
  }

  /** `ready`'s hard state, entries and snapshot survive a crash from now on. In the order of `ready`. */
  persisted({ sequence, hardState, entries, snapshot }: Ready): void {
    if (hardState !== null) this.#durable = hardState;
    const log = this.#log;
    if (snapshot !== null) log.stable = Math.max(log.stable, Math.min(snapshot.index, log.lastIndex));
    const last = entries.at(-1);
    // What was handed out before a rewrite of the log says nothing about what stands there now.
    if (last !== undefined && sequence > this.#rewrittenAt && log.term(last.index) === last.term)
      log.stable = Math.max(log.stable, last.index);
    if (this.isLeader) this.#advanceCommit();
  }

  /** The state machine has taken every committed entry up to `index`. */
  applied(index: number): void {
    this.#log.applied = Math.max(this.#log.applied, Math.min(index, this.#log.delivered));
    if (index >= this.#restoring) this.#restoring = 0;
  }

  /** A term or vote not yet handed out; or a commit index that covers a configuration and must be on disk first. */
  #stateToPersist(): HardState | null {
    const { term, vote, commit } = this.#offeredState;
    if (term !== this.#term || vote !== this.#vote) return this.hardState;
    const conf = this.#firstConf(this.#log.delivered + 1, Math.min(this.#log.commit, this.#log.stable));
    return conf !== null && conf > commit ? this.hardState : null;
  }

  /**
   * How far committed entries may be handed out: not beyond what is on disk here, and not over a configuration whose
   * commit is not: a restart would otherwise go back to the older configuration and could elect itself under it.
   */
  #deliverable(): number {
    const { delivered, commit, stable } = this.#log;
    if (this.#incoming !== null || stable < delivered) return delivered;
    const to = Math.min(commit, stable, delivered + MAX_DELIVERED);
    const conf = this.#firstConf(Math.max(delivered, this.#durable.commit) + 1, to);
    return conf === null ? to : conf - 1;
  }

  #firstConf(from: number, to: number): number | null {
    if (from > to) return null;
    return this.#log.slice(from, to).find((entry) => entry.kind === "conf")?.index ?? null;
  }

  // ---------------------------------------------------------------------------------------------- messages in

  step(message: RaftMessage): void {
    if (message.to !== this.id) return;
    if (message.term < this.#term) return this.#onLowerTerm(message);
    if (message.term > this.#term) {
      if (this.#asksVote(message) && message.hint !== 1 && this.#hearsLeader) return;
      // Pre-votes speak of a term that may never be: they move nobody there.
      const hypothetical = message.type === "pre-vote" || (message.type === "pre-vote-reply" && !message.reject);
      if (!hypothetical) this.#becomeFollower(message.term, this.#isFromLeader(message) ? message.from : 0);
    }
    if (this.#asksVote(message)) return this.#onVote(message);
    if (this.#isFromLeader(message)) return this.#onLeader(message);
    if (message.type === "timeout-now") {
      if (this.#mayStand) this.#startElection("candidate", 1);
    } else if (message.type === "append-reply" || message.type === "heartbeat-reply") this.#onFollower(message);
    else this.#onVoteReply(message);
  }

  #asksVote({ type }: RaftMessage): boolean {
    return type === "pre-vote" || type === "vote";
  }

  #isFromLeader({ type }: RaftMessage): boolean {
    return type === "append" || type === "heartbeat" || type === "snapshot";
  }

  /** Whoever hears from a leader does not help to depose it, unless the leader itself asked for that. */
  get #hearsLeader(): boolean {
    return this.#leader !== 0 && this.#electionElapsed < this.#options.electionTicks;
  }

  /** Somebody is behind: an old leader must learn that, and a pre-candidate that waits in vain. */
  #onLowerTerm(message: RaftMessage): void {
    if (this.#isFromLeader(message)) this.#send("append-reply", message.from);
    else if (message.type === "pre-vote") this.#send("pre-vote-reply", message.from, { reject: true });
  }

  #onVote({ type, from, term, index, logTerm }: RaftMessage): void {
    const free = this.#vote === from || (this.#vote === 0 && this.#leader === 0);
    const granted = (free || (type === "pre-vote" && term > this.#term)) && this.#log.isUpToDate(index, logTerm);
    const reply = type === "vote" ? "vote-reply" : "pre-vote-reply";
    if (!granted) return this.#send(reply, from, { reject: true });
    if (type === "vote") {
      this.#electionElapsed = 0;
      this.#vote = from;
    }
    this.#send(reply, from, { term });
  }

  #onVoteReply({ type, from, term, reject }: RaftMessage): void {
    const waitingFor = type === "pre-vote-reply" ? "pre-candidate" : "candidate";
    if (this.#role !== waitingFor || (type === "pre-vote-reply" && !reject && term !== this.#term + 1)) return;
    this.#votes.set(from, !reject);
    this.#countVotes();
  }

  #onLeader(message: RaftMessage): void {
    if (this.#role !== "follower" || this.#leader !== message.from) this.#becomeFollower(message.term, message.from);
    this.#electionElapsed = 0;
    if (message.type === "append") this.#onAppend(message);
    else if (message.type === "snapshot") this.#onSnapshot(message);
    else {
      this.#log.commit = Math.max(this.#log.commit, Math.min(message.commit, this.#log.lastIndex));
      this.#send("heartbeat-reply", message.from, { hint: message.hint });
    }
  }

  #onAppend({ from, index, logTerm, entries, commit }: RaftMessage): void {
    const log = this.#log;
    if (index < log.commit) return this.#send("append-reply", from, { index: log.commit });
    if (log.term(index) !== logTerm) {
      const hint = log.mayAgreeAt(index, logTerm);
      return this.#send("append-reply", from, { reject: true, index, hint, logTerm: log.term(hint) ?? 0 });
    }
    if (log.append(log.missing(entries))) this.#rewrittenAt = this.#sequence;
    const last = index + entries.length;
    log.commit = Math.max(log.commit, Math.min(commit, last));
    this.#send("append-reply", from, { index: last });
  }

  #onSnapshot({ from, snapshot }: RaftMessage): void {
    if (snapshot === null) return;
    const log = this.#log;
    const { index, term, conf } = snapshot;
    const member = conf.voters.includes(this.id) || conf.learners.includes(this.id);
    if (index > log.commit && member) {
      if (log.term(index) === term) log.commit = index;
      else {
        log.restore(snapshot);
        this.#rewrittenAt = this.#sequence;
        this.#incoming = snapshot;
        this.#restoring = index;
        this.#voters = new Set(conf.voters);
        this.#learners = new Set(conf.learners);
      }
    }
    this.#send("append-reply", from, { index: log.commit });
  }

  #onFollower(message: RaftMessage): void {
    const progress = this.#progress.get(message.from);
    if (!this.isLeader || progress === undefined) return;
    progress.active = true;
    if (message.from === this.#asked) this.#beginTransfer(message.from, progress);
    if (message.type === "append-reply") this.#onAppendReply(message, progress);
    else {
      progress.waiting = false;
      progress.readRound = Math.max(progress.readRound, message.hint);
      if (progress.match < this.#log.lastIndex || progress.state === "probe") this.#sendAppend(message.from, true);
      this.#collectReads();
    }
  }

  #beginTransfer(to: number, target: Progress): void {
    this.#asked = 0;
    this.#transferee = to;
    this.#electionElapsed = 0;
    if (target.match === this.#log.lastIndex) this.#send("timeout-now", to);
    else this.#sendAppend(to, true);
  }

  #onAppendReply({ from, reject, index, hint, logTerm }: RaftMessage, progress: Progress): void {
    if (reject) {
      const goOnAfter = logTerm > 0 ? this.#log.mayAgreeAt(hint, logTerm) : hint;
      if (progress.refuse(index, goOnAfter)) this.#sendAppend(from, true);
      return;
    }
    progress.acknowledge(index);
    this.#advanceCommit();
    this.#sendAppend(from, false);
    if (from === this.#transferee && progress.match === this.#log.lastIndex) this.#send("timeout-now", from);
  }

  // ---------------------------------------------------------------------------------------------- elections

  /** Not under a configuration that is known to be outdated. */
  get #mayStand(): boolean {
    const { delivered, commit } = this.#log;
    return !this.isLeader && this.#voters.has(this.id) && this.#firstConf(delivered + 1, commit) === null;
  }

  #resetElection(): void {
    this.#electionElapsed = 0;
    this.#patience = this.#options.electionTicks + this.#options.random.int(this.#options.electionTicks);
  }

  #become(role: Role, leader: number): void {
    this.#role = role;
    this.#leader = leader;
    this.#transferee = 0;
    this.#asked = 0;
    this.#heartbeatElapsed = 0;
    this.#progress.clear();
    this.#votes.clear();
    this.#reads.clear();
    this.#readStates = [];
    this.#resetElection();
  }

  #becomeFollower(term: number, leader: number): void {
    if (term > this.#term) this.#vote = 0;
    this.#term = term;
    this.#become("follower", leader);
  }

  #startElection(role: "pre-candidate" | "candidate", hint: 0 | 1): void {
    if (role === "candidate") {
      this.#term++;
      this.#vote = this.id;
    }
    this.#become(role, 0);
    this.#votes.set(this.id, true);
    const { lastIndex: index, lastTerm: logTerm } = this.#log;
    const [type, term] = role === "candidate" ? ["vote" as const, this.#term] : ["pre-vote" as const, this.#term + 1];
    for (const voter of this.#voters) if (voter !== this.id) this.#send(type, voter, { term, index, logTerm, hint });
    this.#countVotes();
  }

  #countVotes(): void {
    const majority = Math.floor(this.#voters.size / 2) + 1;
    const count = (vote: boolean): number => [...this.#voters].filter((id) => this.#votes.get(id) === vote).length;
    if (count(true) >= majority) {
      if (this.#role === "pre-candidate") this.#startElection("candidate", 0);
      else this.#becomeLeader();
    } else if (count(false) > this.#voters.size - majority) this.#becomeFollower(this.#term, 0);
  }

  #becomeLeader(): void {
    this.#become("leader", this.id);
    // There may be an unapplied configuration change anywhere in the tail.
    this.#pendingConfIndex = this.#log.lastIndex;
    for (const id of [...this.#voters, ...this.#learners])
      this.#progress.set(id, new Progress(this.#log.lastIndex + 1));
    this.#propose("normal", Buffer.alloc(0));
  }

  #tickLeader(): void {
    if (this.#electionElapsed >= this.#options.electionTicks) {
      this.#electionElapsed = 0;
      this.#transferee = 0;
      this.#asked = 0;
      if (!this.#quorumActive()) return this.#becomeFollower(this.#term, 0);
    }
    for (const progress of this.#progress.values())
      if (progress.state === "snapshot" && ++progress.snapshotTicks >= this.#options.electionTicks) progress.probe();
    if (++this.#heartbeatElapsed < this.#options.heartbeatTicks) return;
    this.#heartbeatElapsed = 0;
    this.#sendHeartbeats();
  }

  #quorumActive(): boolean {
    const active = [...this.#voters].filter((id) => id === this.id || this.#progress.get(id)?.active === true).length;
    for (const progress of this.#progress.values()) progress.active = false;
    return active > this.#voters.size / 2;
  }

  // ---------------------------------------------------------------------------------------------- a leader's work

  #propose(kind: Entry["kind"], data: Buffer): { readonly index: number; readonly term: number } | null {
    if (!this.isLeader || this.#transferee !== 0) return null;
    const at = { index: this.#log.lastIndex + 1, term: this.#term };
    this.#log.append([{ ...at, kind, data }]);
    for (const id of this.#progress.keys()) this.#sendAppend(id, false);
    return at;
  }

  #advanceCommit(): void {
    const reached = quorumValue(this.#voters, (id) => this.#matchOf(id));
    // Only entries of its own term are counted; older ones come with them (Raft paper, 5.4.2).
    if (reached <= this.#log.commit || this.#log.term(reached) !== this.#term) return;
    this.#log.commit = reached;
    for (const context of this.#reads.takeHeld()) this.#reads.add(context, reached);
    for (const id of this.#progress.keys()) this.#sendAppend(id, true);
  }

  #matchOf(id: number): number {
    return id === this.id ? this.#log.stable : (this.#progress.get(id)?.match ?? 0);
  }

  #followConf(): void {
    const members = new Set([...this.#voters, ...this.#learners]);
    for (const id of this.#progress.keys()) if (!members.has(id)) this.#progress.delete(id);
    if (!this.#voters.has(this.id)) return this.#becomeFollower(this.#term, 0);
    if (!this.#voters.has(this.#transferee)) this.#transferee = 0;
    if (!this.#voters.has(this.#asked)) this.#asked = 0;
    for (const id of members) {
      if (this.#progress.has(id)) continue;
      this.#progress.set(id, new Progress(this.#log.lastIndex + 1));
      this.#sendAppend(id, true);
    }
    this.#advanceCommit();
  }

  #collectReads(): void {
    const round = quorumValue(this.#voters, (id) =>
      id === this.id ? this.#reads.round : (this.#progress.get(id)?.readRound ?? 0),
    );
    this.#readStates.push(...this.#reads.confirmed(round));
  }

  #sendHeartbeats(): void {
    for (const id of this.#progress.keys()) if (id !== this.id) this.#sendHeartbeat(id);
    this.#collectReads();
  }

  #sendHeartbeat(to: number): void {
    const match = this.#progress.get(to)?.match ?? 0;
    this.#send("heartbeat", to, { commit: Math.min(match, this.#log.commit), hint: this.#reads.round });
  }

  /** Sends what the member lacks; with `evenEmpty`, at least where the log and the commit index stand. */
  #sendAppend(to: number, evenEmpty: boolean): void {
    const progress = this.#progress.get(to);
    const log = this.#log;
    if (to === this.id || progress === undefined) return;
    let first = evenEmpty;
    while (!progress.paused && progress.next - progress.match <= MAX_AHEAD_ENTRIES) {
      const logTerm = log.term(progress.next - 1);
      if (logTerm === null) return this.#sendSnapshot(to, progress);
      const entries = log.slice(progress.next, log.lastIndex, MAX_APPEND_BYTES);
      if (entries.length === 0 && !first) return;
      first = false;
      this.#send("append", to, { index: progress.next - 1, logTerm, entries, commit: log.commit });
      if (progress.state === "replicate") progress.next += entries.length;
      else progress.waiting = true;
    }
  }

  #sendSnapshot(to: number, progress: Progress): void {
    if (this.#restoring > 0) return;
    const snapshot = this.#snapshotNow();
    progress.sendSnapshot(snapshot.index);
    this.#send("snapshot", to, { snapshot, index: snapshot.index });
  }

  #snapshotNow(): RaftSnapshot {
    const index = this.#log.applied;
    return { index, term: this.#log.term(index) ?? 0, conf: this.conf, data: this.#options.takeSnapshot() };
  }

  #send(type: MessageType, to: number, parts: Partial<RaftMessage> = {}): void {
    const message: RaftMessage = {
      type,
      from: this.id,
      to,
      term: this.#term,
      index: 0,
      logTerm: 0,
      commit: 0,
      reject: false,
      hint: 0,
      entries: [],
      snapshot: null,
      ...parts,
    };
    // A leader speaks while it writes, but only in a term that it cannot forget.
    const atOnce = this.isLeader && this.#durable.term === this.#term;
    (atOnce ? this.#beforePersist : this.#messages).push(message);
  }
}

function sameRole(a: RoleState, b: RoleState): boolean {
  return a.role === b.role && a.term === b.term && a.leader === b.leader;
}
