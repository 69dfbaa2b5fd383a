/** Entries before the slowest member's that a leader keeps, and that it forgets at a time. */
const KEPT = 64;
/** A member further behind than this is sent a snapshot. */
const MOST_BEHIND = 2_000;
const KEPT_FOR_THE_LATE = 1_000;
/** A follower does not know how far the others are; it may have to lead them. */
const KEPT_BY_FOLLOWER = 128;

/**
 * Up to which index a member may forget its log now; null = it is not worth it yet. As TiKV does it: what every member
 * has goes soon (raft-log-gc-threshold), what a member lacks is kept up to a limit (raft-log-gc-count-limit; ours is
 * lower, since our regions are small and all of the log is in memory, where an entry takes 400 bytes besides its data).
 *
 * @param matches how far each member's log is known to agree, empty for a follower.
 */
export function forgetUpTo(firstIndex: number, applied: number, matches: readonly number[]): number | null {
  const to = matches.length === 0 ? applied - KEPT_BY_FOLLOWER : leaderForgets(applied, Math.min(applied, ...matches));
  return to - firstIndex >= KEPT ? to : null;
}

function leaderForgets(applied: number, slowest: number): number {
  return applied - slowest > MOST_BEHIND ? applied - KEPT_FOR_THE_LATE : slowest - KEPT;
}
