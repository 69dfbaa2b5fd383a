import { LeaderLease, type LeaseOptions } from "./leader-lease.ts";
import type { Membership } from "./membership.ts";
import { Progress } from "./progress.ts";
import type { RaftLog } from "./raft-log.ts";
import { ReadQueue } from "./read-queue.ts";
import type { MessageType, RaftMessage, RaftSnapshot, ReadState } from "./types.ts";

export interface LeadershipOptions {
  readonly id: number;
  readonly term: number;
  readonly log: RaftLog;
  readonly membership: Membership;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly lease: LeaseOptions | null;
  send(type: MessageType, to: number, parts: Partial<RaftMessage>): void;
  /** Null while there is none to be had. */
  snapshot(): RaftSnapshot | null;
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
const MAX_AHEAD_ENTRIES = 4096;

/**
 * What a member does only while it leads, for one term: it brings the others' logs up to its own, commits, confirms
 * reads, checks that a majority is still there, and hands over. What it wants to send is gathered until `flush`, so
 * that everything proposed in one turn travels in one message.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #log: RaftLog;
  readonly #progress = new Map<number, Progress>();
  readonly #reads = new ReadQueue();
  readonly #lease: LeaderLease | null;
  #membership: Membership;
  #readStates: ReadState[] = [];
  #transferee = 0;
  /** Asked whether it is there to take over; nothing is held back for it yet. */
  #asked = 0;
  /** A change of the configuration may stand anywhere up to here. */
  pendingConfIndex: number;
  #electionElapsed = 0;
  #heartbeatElapsed = 0;
  #appendsDue = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#membership = options.membership;
    this.#lease = options.lease === null ? null : new LeaderLease(options.lease, options.id);
    this.pendingConfIndex = options.log.lastIndex;
    for (const id of options.membership.ids) this.#progress.set(id, new Progress(options.log.lastIndex + 1));
  }

  /** The member that leadership is being handed to, 0 = none: proposals are refused meanwhile. */
  get transferee(): number {
    return this.#transferee;
  }
  /** As `transferee`, or the one that has been asked and has not answered yet. */
  get successor(): number {
    return this.#transferee === 0 ? this.#asked : this.#transferee;
  }
  get hasWork(): boolean {
    return this.#appendsDue || this.#reads.startRoundDue || this.#readStates.length > 0;
  }
  /** Has committed an entry of its own term: only then is what it has applied up to date. */
  get isFirm(): boolean {
    return this.#log.term(this.#log.commit) === this.#options.term;
  }
  /** Has the whole say until this instant of the lease's clock, -Infinity = not. */
  get leaseUntil(): number {
    return this.#lease === null || !this.isFirm ? -Infinity : this.#lease.until(this.#membership);
  }

  members(): MemberStatus[] {
    const { id: self } = this.#options;
    return [...this.#progress].map(([id, { match, state, active }]) => ({
      id,
      match: id === self ? this.#log.stable : match,
      behindLog: id !== self && (state === "snapshot" || match < this.#log.firstIndex - 1),
      active: id === self || active,
    }));
  }

  /** @returns false when too few members were heard of for an election time-out: it must not lead on. */
  tick(): boolean {
    const { electionTicks, heartbeatTicks } = this.#options;
    if (++this.#electionElapsed >= electionTicks) {
      this.#electionElapsed = 0;
      this.#transferee = this.#asked = 0;
      if (!this.#quorumActive()) return false;
    }
    for (const progress of this.#progress.values())
      if (progress.state === "snapshot" && ++progress.snapshotTicks >= electionTicks) progress.probe();
    if (++this.#heartbeatElapsed >= heartbeatTicks) {
      this.#heartbeatElapsed = 0;
      this.#sendHeartbeats();
    }
    return true;
  }

  #quorumActive(): boolean {
    const { id: self } = this.#options;
    const there = this.#membership.hasQuorum((id) => id === self || this.#progress.get(id)?.active === true);
    for (const progress of this.#progress.values()) progress.active = false;
    return there;
  }

  /** The log has grown. */
  announceEntries(): void {
    for (const progress of this.#progress.values()) progress.due ||= "entries";
    this.#appendsDue = true;
  }

  /** More of the own log is on disk, or somebody else's: something may be committed by that. */
  advanceCommit(): void {
    const log = this.#log;
    const reached = this.#membership.quorumValue((id) => this.#matchOf(id));
    // Only entries of its own term are counted; older ones come with them (Raft paper, 5.4.2).
    if (reached <= log.commit || log.term(reached) !== this.#options.term) return;
    log.commit = reached;
    for (const context of this.#reads.takeHeld()) this.#addRead(context);
    for (const id of this.#progress.keys()) this.#owe(id, "position");
  }

  #matchOf(id: number): number {
    return id === this.#options.id ? this.#log.stable : (this.#progress.get(id)?.match ?? 0);
  }

  /** The configuration is another from now on; not to be called while entries are being applied. */
  follow(membership: Membership): void {
    this.#membership = membership;
    for (const id of this.#progress.keys()) if (!membership.has(id)) this.#progress.delete(id);
    if (!membership.staysVoter(this.#transferee)) this.#transferee = 0;
    if (!membership.staysVoter(this.#asked)) this.#asked = 0;
    for (const id of membership.ids) {
      if (this.#progress.has(id)) continue;
      this.#progress.set(id, new Progress(this.#log.lastIndex + 1));
      this.#owe(id, "position");
    }
    this.advanceCommit();
    this.#collectReads();
  }

  // ---------------------------------------------------------------------------------------------- reads

  read(context: number): void {
    if (this.isFirm) this.#addRead(context);
    else this.#reads.hold(context);
  }

  #addRead(context: number): void {
    if (this.#lease?.isHeld(this.#membership) === true) this.#readStates.push({ context, index: this.#log.commit });
    else this.#reads.add(context, this.#log.commit);
  }

  takeReadStates(): ReadState[] {
    const states = this.#readStates;
    if (states.length > 0) this.#readStates = [];
    return states;
  }

  #collectReads(): void {
    const { id: self } = this.#options;
    if (!this.#reads.isWaiting) return;
    const round = this.#membership.quorumValue((id) =>
      id === self ? this.#reads.round : (this.#progress.get(id)?.readRound ?? 0),
    );
    this.#readStates.push(...this.#reads.confirmed(round));
  }

  // ---------------------------------------------------------------------------------------------- transfer

  /** The voter is asked first: while it has not answered, proposals go on. @returns false when it cannot be tried. */
  transfer(to: number): boolean {
    if (!this.#progress.has(to) || !this.#membership.staysVoter(to) || to === this.#options.id) return false;
    this.#asked = to;
    this.#sendHeartbeat(to);
    return true;
  }

  #beginTransfer(to: number, target: Progress): void {
    this.#asked = 0;
    this.#transferee = to;
    this.#electionElapsed = 0;
    if (target.match === this.#log.lastIndex) this.#sendTimeoutNow(to);
    else this.#owe(to, "position");
  }

  #sendTimeoutNow(to: number): void {
    // Whoever gets this, however late, is elected in spite of all promises.
    this.#lease?.giveUp();
    this.#options.send("timeout-now", to, {});
  }

  // ---------------------------------------------------------------------------------------------- answers

  onReply(message: RaftMessage): void {
    const { from } = message;
    const progress = this.#progress.get(from);
    if (progress === undefined) return;
    progress.active = true;
    if (from === this.#asked) this.#beginTransfer(from, progress);
    if (message.type === "append-reply") return this.#onAppendReply(message, progress);
    progress.waiting = false;
    progress.readRound = Math.max(progress.readRound, message.hint);
    this.#lease?.confirmed(from, message.hint);
    if (progress.match < this.#log.lastIndex || progress.state === "probe") this.#owe(from, "position");
    this.#collectReads();
  }

  #onAppendReply({ from, reject, index, hint, logTerm }: RaftMessage, progress: Progress): void {
    if (reject) {
      const goOnAfter = logTerm > 0 ? this.#log.mayAgreeAt(hint, logTerm) : hint;
      if (progress.refuse(index, goOnAfter)) this.#owe(from, "position");
      return;
    }
    progress.acknowledge(index);
    this.advanceCommit();
    this.#owe(from, "entries");
    if (from === this.#transferee && progress.match === this.#log.lastIndex) this.#sendTimeoutNow(from);
  }

  /** The transport could not deliver to this member: its entries are sent again one by one. */
  reportUnreachable(id: number): void {
    if (id !== this.#options.id) this.#progress.get(id)?.probe();
  }

  // ---------------------------------------------------------------------------------------------- sending

  /** Sends what has been gathered. Not while entries are being applied: a snapshot would be half of each. */
  flush(): void {
    if (this.#reads.startRoundDue) this.#sendHeartbeats();
    if (!this.#appendsDue) return;
    this.#appendsDue = false;
    for (const [id, progress] of this.#progress) {
      const { due } = progress;
      progress.due = null;
      if (due !== null && id !== this.#options.id) this.#sendAppends(id, progress, due === "position");
    }
  }

  #sendHeartbeats(): void {
    this.#reads.startRound();
    this.#lease?.roundStarts(this.#reads.round);
    for (const id of this.#progress.keys()) if (id !== this.#options.id) this.#sendHeartbeat(id);
    this.#collectReads();
  }

  #sendHeartbeat(to: number): void {
    const match = this.#progress.get(to)?.match ?? 0;
    this.#options.send("heartbeat", to, { commit: Math.min(match, this.#log.commit), hint: this.#reads.round });
  }

  /** `entries`: if there are any; `position`: at least where the log and the commit index stand. */
  #owe(to: number, what: "entries" | "position"): void {
    const progress = this.#progress.get(to);
    if (progress === undefined) return;
    if (progress.due !== "position") progress.due = what;
    this.#appendsDue = true;
  }

  #sendAppends(to: number, progress: Progress, evenEmpty: boolean): void {
    const log = this.#log;
    let first = evenEmpty;
    while (!progress.paused) {
      // All that was sent ahead may have been lost: the position alone makes the member say so.
      const isFull = progress.next - progress.match > MAX_AHEAD_ENTRIES;
      if (isFull && !first) return;
      const logTerm = log.term(progress.next - 1);
      if (logTerm === null) return this.#sendSnapshot(to, progress);
      const entries = isFull ? [] : log.slice(progress.next, log.lastIndex, MAX_APPEND_BYTES);
      if (entries.length === 0 && !first) return;
      first = false;
      this.#options.send("append", to, { index: progress.next - 1, logTerm, entries, commit: log.commit });
      if (progress.state === "replicate") progress.next += entries.length;
      else progress.waiting = true;
    }
  }

  #sendSnapshot(to: number, progress: Progress): void {
    const snapshot = this.#options.snapshot();
    if (snapshot === null) return;
    progress.sendSnapshot(snapshot.index);
    this.#options.send("snapshot", to, { snapshot, index: snapshot.index });
  }
}
