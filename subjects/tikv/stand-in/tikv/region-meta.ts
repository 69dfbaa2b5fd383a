import type { RegionPeer } from "./region-peer.ts";
import type { PeerRole } from "./region.ts";

const STATES = { leader: "Leader", follower: "Follower", candidate: "Candidate", "pre-candidate": "PreCandidate" };
const ROLES: Readonly<Record<PeerRole, string>> = {
  voter: "Voter",
  learner: "Learner",
  "incoming-voter": "IncomingVoter",
  "demoting-voter": "DemotingVoter",
};

/**
 * `GET /region/{id}` (tikv/tikv:components/raftstore/src/store/region_meta.rs). Keys are arrays of bytes; only a leader
 * knows the progress of others.
 */
export function regionMeta(peer: RegionPeer): object {
  const { node, region } = peer;
  const { role, term, leader } = node.roleState;
  const { vote, commit } = node.hardState;
  const { learners } = node.conf;
  const truncated = node.firstIndex - 1;
  const members = node.members();
  const progress = (chosen: readonly (typeof members)[number][]) =>
    Object.fromEntries(
      chosen.map(({ id, match, active, behindLog }) => [
        id,
        {
          matched: match,
          next_idx: match + 1,
          state: behindLog ? "Snapshot" : "Replicate",
          paused: false,
          pending_snapshot: 0,
          pending_request_snapshot: 0,
          recent_active: active,
        },
      ]),
    );
  return {
    group_state: "Ordered",
    raft_status: {
      id: peer.peerId,
      hard_state: { term, vote, commit },
      soft_state: { leader_id: leader, raft_state: STATES[role] },
      applied: node.appliedIndex,
      voters: progress(members.filter(({ id }) => !learners.includes(id))),
      learners: progress(members.filter(({ id }) => learners.includes(id))),
    },
    raft_apply: {
      applied_index: node.appliedIndex,
      commit_index: commit,
      commit_term: node.termOf(commit) ?? 0,
      truncated_state: { index: truncated, term: node.termOf(truncated) ?? 0 },
    },
    region_state: {
      id: peer.id,
      start_key: [...Buffer.from(region?.startKey ?? "", "latin1")],
      end_key: [...Buffer.from(region?.endKey ?? "", "latin1")],
      epoch: { conf_ver: region?.epoch.confVer ?? 0, version: region?.epoch.version ?? 0 },
      peers: (region?.peers ?? []).map((one) => ({ id: one.id, store_id: one.storeId, role: ROLES[one.role] })),
      merge_state: null,
      tablet_index: 0,
    },
  };
}
