import type { ConfState, HardState, RaftSnapshot } from "./types.ts";

/** A group's log starts here, as TiKV's does (RAFT_INIT_LOG_INDEX, RAFT_INIT_LOG_TERM): 0 means "has nothing yet". */
const FIRST_INDEX = 5;
/** The term that every group begins in: nobody has voted in it. */
export const FIRST_TERM = 5;

/**
 * What every first member of a new group starts from; all of them must be given the same. `before`: what a member
 * without a log of its own may have promised already (it was made by a message that came before the split that makes
 * the group here): its vote is kept, or it could vote twice.
 */
export function newGroup(
  members: Pick<ConfState, "voters" | "learners">,
  data: Buffer = Buffer.alloc(0),
  before: HardState = { term: 0, vote: 0, commit: 0 },
): { readonly hardState: HardState; readonly snapshot: RaftSnapshot; readonly entries: readonly [] } {
  const { term, vote } = before.term <= FIRST_TERM ? { term: FIRST_TERM, vote: 0 } : before;
  return {
    hardState: { term, vote, commit: FIRST_INDEX },
    snapshot: { index: FIRST_INDEX, term: FIRST_TERM, conf: simpleConf(members), data },
    entries: [],
  };
}

/** What a member starts from that was added later: nothing, until the leader sends a snapshot. */
export function emptyMember(): ReturnType<typeof newGroup> {
  return {
    hardState: { term: 0, vote: 0, commit: 0 },
    snapshot: { index: 0, term: 0, conf: simpleConf({ voters: [], learners: [] }), data: Buffer.alloc(0) },
    entries: [],
  };
}

/** A configuration that is not joint. */
export function simpleConf({ voters, learners }: Pick<ConfState, "voters" | "learners">): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}
