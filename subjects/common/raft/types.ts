/** What the Raft core speaks. Plain data: the core neither does I/O nor keeps time. Ids, terms and indexes are > 0. */

export interface Entry {
  readonly index: number;
  readonly term: number;
  /** `conf` entries hold an encoded `ConfChange`; a `normal` one of length 0 is a new leader's own, to be skipped. */
  readonly kind: "normal" | "conf";
  readonly data: Buffer;
}

/** Must be on disk before any message of the same `Ready` leaves. */
export interface HardState {
  readonly term: number;
  /** 0 = nobody. */
  readonly vote: number;
  readonly commit: number;
}

/** Who belongs to a group (etcd-io/raft:raftpb/raft.proto, `ConfState`). */
export interface ConfState {
  /** While joint: the incoming ones. */
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Not empty = the configuration is joint: every decision also needs a majority of these. */
  readonly votersOutgoing: readonly number[];
  /** Voters of the outgoing configuration that become learners when the joint one is left. */
  readonly learnersNext: readonly number[];
  /** The leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** `add-learner` of a voter demotes it, `add-voter` of a learner promotes it. */
export interface ConfChangeStep {
  readonly type: "add-voter" | "add-learner" | "remove";
  readonly id: number;
}

/**
 * How a change comes about (etcd-io/raft:raftpb/raft.proto, `ConfChangeTransition`):
 * - `auto`: one step at once, several by a joint configuration that is left by itself;
 * - `implicit`: by a joint configuration that is left by itself, even for one step;
 * - `explicit`: by a joint configuration that stays until a change without steps is proposed.
 */
export type ConfTransition = "auto" | "implicit" | "explicit";

/** No steps = leave the joint configuration (`transition` says nothing then). */
export interface ConfChange {
  readonly steps: readonly ConfChangeStep[];
  readonly transition: ConfTransition;
  /** The application's own, e.g. the encoded request that led to it. */
  readonly context: Buffer;
}

/** State machine and configuration as of `index`. */
export interface RaftSnapshot {
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
  readonly data: Buffer;
}

export type MessageType =
  | "pre-vote"
  | "pre-vote-reply"
  | "vote"
  | "vote-reply"
  | "append"
  | "append-reply"
  | "heartbeat"
  | "heartbeat-reply"
  | "snapshot"
  | "timeout-now";

export interface RaftMessage {
  readonly type: MessageType;
  readonly from: number;
  readonly to: number;
  readonly term: number;
  /** The log position that the message is about; of a refused append, the position that was refused. */
  readonly index: number;
  readonly logTerm: number;
  readonly commit: number;
  readonly reject: boolean;
  /** Heartbeats: the read round they confirm. Refused appends: where to go on. Votes: 1 = a transfer, lease ignored. */
  readonly hint: number;
  readonly entries: readonly Entry[];
  readonly snapshot: RaftSnapshot | null;
}

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

export interface RoleState {
  readonly role: Role;
  readonly term: number;
  /** 0 = not known. */
  readonly leader: number;
}

/** A read with this context may be answered once the state machine has applied `index`. */
export interface ReadState {
  readonly context: number;
  readonly index: number;
}

/**
 * What the core wants done. Within one group, and in this order:
 * - `beforePersist` may be sent at once; `readStates` and `committed` may be acted on at once (committed entries are
 *   already on disk);
 * - `hardState`, `entries` (they overwrite what the log held from their first index on) and `snapshot` (replaces log
 *   and state machine) are made durable, then `persisted(ready)` is called, then `messages` are sent. A `Ready` with
 *   nothing to persist still waits for those before it. Several may be in flight; first in, first out.
 * - after the state machine has taken `committed` entries, `applied(index)` is called.
 */
export interface Ready {
  readonly sequence: number;
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly snapshot: RaftSnapshot | null;
  readonly beforePersist: readonly RaftMessage[];
  readonly messages: readonly RaftMessage[];
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Present when role, term or known leader changed since the last `Ready`. */
  readonly roleState: RoleState | null;
}
