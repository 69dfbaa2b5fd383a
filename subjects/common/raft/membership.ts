import type { ConfChange, ConfState } from "./types.ts";

/**
 * Who belongs to a group and whose word counts: a value that changes by `changed` only. While joint, everything needs
 * a majority of the incoming and one of the outgoing voters (Ongaro's Raft paper, section 6; as in
 * etcd-io/raft:confchange/confchange.go and quorum/joint.go, tikv/raft-rs:src/confchange/changer.rs).
 */
export class Membership {
  readonly state: ConfState;
  /** Everybody, once. */
  readonly ids: readonly number[];
  readonly voterIds: readonly number[];
  readonly #voters: ReadonlySet<number>;
  readonly #outgoing: ReadonlySet<number>;
  readonly #gone: ReadonlySet<number>;

  constructor(state: ConfState, gone: ReadonlySet<number> = new Set()) {
    const { voters, votersOutgoing, learners, learnersNext } = state;
    this.state = state;
    this.#gone = gone;
    this.#voters = new Set(voters);
    this.#outgoing = new Set(votersOutgoing);
    this.voterIds = [...new Set([...voters, ...votersOutgoing])];
    this.ids = [...new Set([...this.voterIds, ...learners, ...learnersNext])];
  }

  /**
   * The same members, but majorities are counted without these. Only for what has lost its majority for good: what
   * they alone knew is lost (tikv/tikv:components/raftstore/src/store/fsm/peer.rs, `on_enter_force_leader`).
   */
  without(gone: ReadonlySet<number>): Membership {
    return new Membership(this.state, gone);
  }

  get isJoint(): boolean {
    return this.#outgoing.size > 0;
  }

  has(id: number): boolean {
    return this.ids.includes(id);
  }

  /** Its vote counts in at least one of the majorities. */
  isVoter(id: number): boolean {
    return this.#voters.has(id) || this.#outgoing.has(id);
  }

  /** It will still be a voter when a joint configuration has been left. */
  staysVoter(id: number): boolean {
    return this.#voters.has(id);
  }

  /** The highest value that a majority (while joint: both majorities) has reached. */
  quorumValue(valueOf: (voter: number) => number): number {
    const incoming = majorityValue(this.#there(this.state.voters), valueOf);
    return this.isJoint ? Math.min(incoming, majorityValue(this.#there(this.state.votersOutgoing), valueOf)) : incoming;
  }

  #there(voters: readonly number[]): readonly number[] {
    return this.#gone.size === 0 ? voters : voters.filter((id) => !this.#gone.has(id));
  }

  hasQuorum(test: (voter: number) => boolean): boolean {
    return this.ids.length > 0 && this.quorumValue((id) => (test(id) ? 1 : 0)) === 1;
  }

  /** `lost` = those who have not voted yet cannot turn it any more. */
  outcome(votes: ReadonlyMap<number, boolean>): "won" | "lost" | "open" {
    if (this.hasQuorum((id) => votes.get(id) === true)) return "won";
    return this.hasQuorum((id) => votes.get(id) !== false) ? "open" : "lost";
  }

  /** @throws RangeError when the change is not possible from here. */
  changed(change: ConfChange): Membership {
    if (change.steps.length === 0) return this.#left();
    if (this.isJoint) throw new RangeError("a joint configuration has to be left first");
    const joint = change.transition !== "auto" || change.steps.length > 1;
    const outgoing = joint ? this.#voters : new Set<number>();
    const parts = { voters: new Set(this.#voters), learners: new Set(this.state.learners), next: new Set<number>() };
    for (const { type, id } of change.steps) {
      for (const part of Object.values(parts)) part.delete(id);
      if (type === "add-voter") parts.voters.add(id);
      // Whoever still votes in the outgoing configuration cannot be a learner at the same time.
      else if (type === "add-learner") (outgoing.has(id) ? parts.next : parts.learners).add(id);
    }
    if (parts.voters.size === 0) throw new RangeError("a change must not remove all voters");
    return new Membership(
      {
        voters: [...parts.voters],
        learners: [...parts.learners],
        votersOutgoing: [...outgoing],
        learnersNext: [...parts.next],
        autoLeave: joint && change.transition !== "explicit",
      },
      this.#gone,
    );
  }

  #left(): Membership {
    if (!this.isJoint) throw new RangeError("there is no joint configuration to leave");
    const { voters, learners, learnersNext } = this.state;
    return new Membership(
      {
        voters,
        learners: [...learners, ...learnersNext],
        votersOutgoing: [],
        learnersNext: [],
        autoLeave: false,
      },
      this.#gone,
    );
  }
}

/** Groups are small: an insertion sort of what all have reached. */
function majorityValue(voters: readonly number[], valueOf: (voter: number) => number): number {
  const values: number[] = [];
  for (const voter of voters) {
    const value = valueOf(voter);
    let at = values.length;
    for (; at > 0 && (values[at - 1] ?? 0) < value; at--) values[at] = values[at - 1] ?? 0;
    values[at] = value;
  }
  return values[Math.floor(values.length / 2)] ?? 0;
}
