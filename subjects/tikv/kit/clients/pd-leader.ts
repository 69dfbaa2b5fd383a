import type { Component } from "../../../../harness/protocol.ts";

/** Whom each member names as PD leader; `null` = it says that nobody leads, or it gave no usable answer. */
export type LeaderVotes = ReadonlyMap<Component, Component | null>;

export interface LeaderChoice {
  readonly name: Component;
  readonly votes: number;
  /** Members asked, answering or not. */
  readonly of: number;
  /** More than half of all members name it. Anything less may be a stale leader talking about itself. */
  readonly byMajority: boolean;
}

/**
 * Picks the leader that most members name. An old leader that was frozen goes on naming itself for up to a second
 * (tikv-facts §10), so on a tie a member that others name wins over one that names itself; a tie that remains is no
 * choice.
 */
export function chooseLeader(votes: LeaderVotes): LeaderChoice | null {
  const tally = new Map<Component, { votes: number; fromOthers: number }>();
  for (const [voter, named] of votes) {
    if (named === null) continue;
    const entry = tally.get(named) ?? { votes: 0, fromOthers: 0 };
    tally.set(named, { votes: entry.votes + 1, fromOthers: entry.fromOthers + (voter === named ? 0 : 1) });
  }
  const ranked = [...tally].sort(([, a], [, b]) => b.votes - a.votes || b.fromOthers - a.fromOthers);
  const [first, second] = ranked;
  if (first === undefined) return null;
  const [name, best] = first;
  if (second !== undefined && second[1].votes === best.votes && second[1].fromOthers === best.fromOthers) return null;
  return { name, votes: best.votes, of: votes.size, byMajority: best.votes * 2 > votes.size };
}
