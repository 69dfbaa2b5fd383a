import type { Random } from "../../../harness/base/random.ts";
import { encodeConfChange } from "./codec.ts";
import type { LeaseOptions } from "./leader-lease.ts";
import { Leadership, type MemberStatus } from "./leadership.ts";
import { Membership } from "./membership.ts";
import { FIRST_TERM } from "./new-group.ts";
import { RaftLog } from "./raft-log.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  MessageType,
  RaftMessage,
  RaftSnapshot,
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
  /** Leased reads; without it every read takes a round of heartbeats. The same for all members of a group. */
  readonly lease?: LeaseOptions;
  /** The state machine as of the last `applied` index; asked for when a follower is behind the compacted log. */
  takeSnapshot(): Buffer;
}

const MAX_DELIVERED = 512;

/**
 * One member of one Raft group: a deterministic state machine without I/O and without time (Ongaro & Ousterhout 2014,
 * with the refinements of etcd-raft: pre-vote, check-quorum, leader transfer, read index). Call `tick` at a steady
 * pace, `step` for every message that arrives, and after each call take `ready` until `hasReady` is false.
 */
export class RaftNode {
  readonly id: number;
  readonly #options: RaftNodeOptions;
  readonly #log: RaftLog;
  #membership: Membership;
  /** The configuration has changed since the leader last acted on it. */
  #membershipIsNew = false;
  #leadership: Leadership | null = null;
  #votes = new Map<number, boolean>();
  #role: Role = "follower";
  #term: number;
  #vote: number;
  #leader = 0;
  #electionElapsed = 0;
  #patience = 0;
  /** On the lease's clock: until then nobody is helped to lead, because a leader may count on it. */
  #promisedUntil = -Infinity;

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

  constructor(options: RaftNodeOptions) {
    const { hardState, snapshot, entries } = options.restored;
    this.#options = options;
    this.id = options.id;
    this.#log = new RaftLog(snapshot, entries, hardState.commit);
    this.#membership = new Membership(snapshot.conf);
    this.#term = Math.max(hardState.term, snapshot.term);
    this.#vote = hardState.term === this.#term ? hardState.vote : 0;
    this.#durable = this.#offeredState = { term: this.#term, vote: this.#vote, commit: this.#log.commit };
    this.#announced = this.roleState;
    this.#resetElection();
    // What it promised before a restart is forgotten; in the first term of a group nobody has promised anything.
    if (this.#term > FIRST_TERM) this.#promise();
  }

  get roleState(): RoleState {
    return { role: this.#role, term: this.#term, leader: this.#leader };
  }
  get isLeader(): boolean {
    return this.#role === "leader";
  }
  get conf(): ConfState {
    return this.#membership.state;
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
  /** The member that leadership is being handed to; 0 = none. */
  get transferee(): number {
    return this.#leadership?.successor ?? 0;
  }
  /** Has a majority on disk for an entry of its own term: only then is what it has applied up to date. */
  get leadsFirmly(): boolean {
    return this.#leadership?.isFirm === true;
  }
  /** Until when (on the lease's clock) this leader answers reads by itself; -Infinity = not at all. */
  get leaseUntil(): number {
    return this.#leadership?.leaseUntil ?? -Infinity;
  }
  /** A change of the configuration is in the log and not applied yet: another one is refused. */
  get confChangePending(): boolean {
    return this.#leadership !== null && this.#leadership.pendingConfIndex > this.#log.applied;
  }

  /** Empty unless leader. */
  members(): MemberStatus[] {
    return this.#leadership?.members() ?? [];
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
    if (this.#leadership !== null) {
      if (!this.#leadership.tick()) this.#becomeFollower(this.#term, 0);
    } else if (++this.#electionElapsed >= this.#patience) this.campaign();
  }

  /**
   * Stands for election now instead of waiting for the time-out. No effect on a leader or a non-voter, nor while a
   * leader may count on this member (with a lease).
   */
  campaign(): void {
    if (this.#mayStand && !this.#isBound) this.#startElection("pre-candidate", 0);
  }

  /** @returns where the entry will stand if it is committed, or null when this member does not lead (firmly enough). */
  propose(data: Buffer): { readonly index: number; readonly term: number } | null {
    if (data.length === 0) throw new RangeError("an empty proposal cannot be told from a leader's own entry");
    return this.#propose("normal", data);
  }

  /**
   * Null also while another change is under way, and when a joint configuration is to be left (or not) first.
   * @throws RangeError when it would remove all voters.
   */
  proposeConfChange(change: ConfChange): { readonly index: number; readonly term: number } | null {
    const leaves = change.steps.length === 0;
    if (this.#leadership === null || this.confChangePending || leaves !== this.#membership.isJoint) return null;
    this.#membership.changed(change);
    const at = this.#propose("conf", encodeConfChange(change));
    if (at !== null) this.#leadership.pendingConfIndex = at.index;
    return at;
  }

  /**
   * To be called while applying a `conf` entry; the application may decide otherwise and not call it. Elections and
   * commits go by it at once, a leader's messages once `applied` was called.
   * @returns the configuration from now on.
   * @throws RangeError when the change does not follow from the present configuration.
   */
  applyConfChange(change: ConfChange): ConfState {
    this.#membership = this.#membership.changed(change);
    this.#membershipIsNew = true;
    return this.conf;
  }

  /**
   * From now on majorities are counted without these members, until it is called with none or the process ends; a
   * member that leads nobody stands for election. Only for groups that have lost their majority for good.
   */
  countWithout(gone: ReadonlySet<number>): void {
    this.#membership = this.#membership.without(gone);
    this.#leadership?.follow(this.#membership);
    if (gone.size > 0) this.campaign();
  }

  /** A read may be answered at the index that a later `readStates` names for `context`. @returns false if not leader. */
  readIndex(context: number): boolean {
    this.#leadership?.read(context);
    return this.#leadership !== null;
  }

  /**
   * Hands leadership to a voter, given up after an election time-out. The voter is asked first: while it has not
   * answered, proposals go on, so that a transfer to a dead member costs nothing (as TiKV does: `pre_transfer_leader`,
   * components/raftstore/src/store/peer.rs). @returns false when it cannot be tried.
   */
  transferLeader(to: number): boolean {
    return this.#leadership?.transfer(to) === true;
  }

  /** The transport could not deliver to this member: its entries are sent again one by one. */
  reportUnreachable(id: number): void {
    this.#leadership?.reportUnreachable(id);
  }

  // ---------------------------------------------------------------------------------------------- work handed out

  hasReady(): boolean {
    const log = this.#log;
    return (
      this.#messages.length + this.#beforePersist.length > 0 ||
      this.#leadership?.hasWork === true ||
      log.offered < log.lastIndex ||
      this.#incoming !== null ||
      this.#stateToPersist() !== null ||
      this.#deliverable() > log.delivered ||
      !sameRole(this.#announced, this.roleState)
    );
  }

  ready(): Ready {
    const log = this.#log;
    this.#leadership?.flush();
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
      readStates: this.#leadership?.takeReadStates() ?? [],
      roleState,
    };
    this.#beforePersist = [];
    this.#messages = [];
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
    this.#leadership?.advanceCommit();
  }

  /** The state machine has taken every committed entry up to `index`. */
  applied(index: number): void {
    this.#log.applied = Math.max(this.#log.applied, Math.min(index, this.#log.delivered));
    if (index >= this.#restoring) this.#restoring = 0;
    if (this.#membershipIsNew) this.#followMembership();
    if (this.#membership.state.autoLeave) this.#leaveJoint();
  }

  #followMembership(): void {
    this.#membershipIsNew = false;
    if (this.isLeader && !this.#membership.isVoter(this.id)) this.#becomeFollower(this.#term, 0);
    else this.#leadership?.follow(this.#membership);
  }

  #leaveJoint(): void {
    if (this.isLeader) this.proposeConfChange({ steps: [], transition: "auto", context: Buffer.alloc(0) });
  }

  /** A term or vote not yet handed out; or a commit index that covers a configuration and must be on disk first. */
  #stateToPersist(): HardState | null {
    const { term, vote, commit } = this.#offeredState;
    if (term !== this.#term || vote !== this.#vote) return this.hardState;
    const conf = this.#log.firstConf(this.#log.delivered + 1, Math.min(this.#log.commit, this.#log.stable));
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
    const conf = this.#log.firstConf(Math.max(delivered, this.#durable.commit) + 1, to);
    return conf === null ? to : conf - 1;
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
    } else if (message.type === "append-reply" || message.type === "heartbeat-reply")
      this.#leadership?.onReply(message);
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
    return (
      this.#isBound || (this.#leader !== 0 && (this.isLeader || this.#electionElapsed < this.#options.electionTicks))
    );
  }

  get #isBound(): boolean {
    const { lease } = this.#options;
    return lease !== undefined && lease.monotonic() < this.#promisedUntil;
  }

  #promise(): void {
    const { lease } = this.#options;
    if (lease !== undefined) this.#promisedUntil = lease.monotonic() + lease.promiseMs;
  }

  /** Somebody is behind: an old leader must learn that, and a pre-candidate that waits in vain. */
  #onLowerTerm(message: RaftMessage): void {
    if (this.#isFromLeader(message)) this.#send("append-reply", message.from);
    else if (message.type === "pre-vote") this.#refuse("pre-vote-reply", message.from);
  }

  #onVote({ type, from, term, index, logTerm }: RaftMessage): void {
    const free = this.#vote === from || (this.#vote === 0 && this.#leader === 0);
    const granted = (free || (type === "pre-vote" && term > this.#term)) && this.#log.isUpToDate(index, logTerm);
    const reply = type === "vote" ? "vote-reply" : "pre-vote-reply";
    if (!granted) return this.#refuse(reply, from);
    if (type === "vote") {
      this.#electionElapsed = 0;
      this.#vote = from;
    }
    this.#send(reply, from, { term });
  }

  /**
   * Whoever is refused learns at least what is committed: the only one who knows that it need not ask us any more may
   * be ourselves, who cannot stand (tikv/raft-rs:src/raft.rs, `maybe_commit_by_vote`).
   */
  #refuse(reply: "vote-reply" | "pre-vote-reply", to: number): void {
    const { commit } = this.#log;
    this.#send(reply, to, { reject: true, commit, logTerm: this.#log.term(commit) ?? 0 });
  }

  #learnCommit({ commit, logTerm }: RaftMessage): void {
    if (this.isLeader || commit <= this.#log.commit || logTerm === 0 || this.#log.term(commit) !== logTerm) return;
    this.#log.commit = commit;
    // It stood under a configuration that is outdated now.
    if (this.#role !== "follower" && !this.#mayStand) this.#becomeFollower(this.#term, 0);
  }

  #onVoteReply(message: RaftMessage): void {
    const { type, from, term, reject } = message;
    if (reject) this.#learnCommit(message);
    const waitingFor = type === "pre-vote-reply" ? "pre-candidate" : "candidate";
    if (this.#role !== waitingFor || (type === "pre-vote-reply" && !reject && term !== this.#term + 1)) return;
    this.#votes.set(from, !reject);
    this.#countVotes();
  }

  #onLeader(message: RaftMessage): void {
    if (this.#role !== "follower" || this.#leader !== message.from) this.#becomeFollower(message.term, message.from);
    this.#electionElapsed = 0;
    this.#promise();
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
    const membership = new Membership(conf);
    if (index > log.commit && membership.has(this.id)) {
      if (log.term(index) === term) log.commit = index;
      else {
        log.restore(snapshot);
        this.#rewrittenAt = this.#sequence;
        this.#incoming = snapshot;
        this.#restoring = index;
        this.#membership = membership;
      }
    }
    this.#send("append-reply", from, { index: log.commit });
  }

  // ---------------------------------------------------------------------------------------------- elections

  /** Not under a configuration that is known to be outdated. */
  get #mayStand(): boolean {
    const { delivered, commit } = this.#log;
    return !this.isLeader && this.#membership.isVoter(this.id) && this.#log.firstConf(delivered + 1, commit) === null;
  }

  #resetElection(): void {
    this.#electionElapsed = 0;
    this.#patience = this.#options.electionTicks + this.#options.random.int(this.#options.electionTicks);
  }

  #become(role: Role, leader: number): void {
    this.#role = role;
    this.#leader = leader;
    this.#leadership = null;
    this.#votes.clear();
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
    for (const voter of this.#membership.voterIds)
      if (voter !== this.id) this.#send(type, voter, { term, index, logTerm, hint });
    this.#countVotes();
  }

  #countVotes(): void {
    const outcome = this.#membership.outcome(this.#votes);
    if (outcome === "lost") this.#becomeFollower(this.#term, 0);
    else if (outcome === "won" && this.#role === "pre-candidate") this.#startElection("candidate", 0);
    else if (outcome === "won") this.#becomeLeader();
  }

  #becomeLeader(): void {
    const { electionTicks, heartbeatTicks, lease = null } = this.#options;
    this.#become("leader", this.id);
    this.#leadership = new Leadership({
      id: this.id,
      term: this.#term,
      log: this.#log,
      membership: this.#membership,
      electionTicks,
      heartbeatTicks,
      lease,
      send: (type, to, parts) => this.#send(type, to, parts),
      snapshot: () => (this.#restoring > 0 ? null : this.#snapshotNow()),
    });
    this.#propose("normal", Buffer.alloc(0));
  }

  // ---------------------------------------------------------------------------------------------- output

  #propose(kind: Entry["kind"], data: Buffer): { readonly index: number; readonly term: number } | null {
    if (this.#leadership === null || this.#leadership.transferee !== 0) return null;
    const at = { index: this.#log.lastIndex + 1, term: this.#term };
    this.#log.append([{ ...at, kind, data }]);
    this.#leadership.announceEntries();
    return at;
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
