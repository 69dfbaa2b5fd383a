import type { MessageType, RaftMessage, RoleState } from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";

/** What a TiKV's log says of elections and snapshots (tikv/raft-rs:src/raft.rs, raftstore's peer_storage.rs and snap.rs). */

interface Replica {
  readonly regionId: number;
  readonly peerId: number;
}

const MESSAGES: Readonly<Partial<Record<MessageType, string>>> = {
  append: "MsgAppend",
  "append-reply": "MsgAppendResponse",
  "pre-vote": "MsgRequestPreVote",
  "pre-vote-reply": "MsgRequestPreVoteResponse",
  vote: "MsgRequestVote",
  "vote-reply": "MsgRequestVoteResponse",
  snapshot: "MsgSnapshot",
  heartbeat: "MsgHeartbeat",
  "heartbeat-reply": "MsgHeartbeatResponse",
  "timeout-now": "MsgTimeoutNow",
};

function named(type: MessageType): string {
  return MESSAGES[type] ?? type;
}

export function logRole(log: NodeLog, { regionId, peerId }: Replica, { role, term }: RoleState): void {
  const fields = { term, raft_id: peerId, region_id: regionId };
  if (role === "leader") log.info("raft.rs:1210", `became leader at term ${term}`, fields);
  else if (role === "candidate") log.info("raft.rs:1149", `became candidate at term ${term}`, fields);
  else if (role === "follower") log.info("raft.rs:1127", `became follower at term ${term}`, fields);
}

/** A replica stands: first it asks whether it would win, then for votes. */
export function logVoteRequests(log: NodeLog, { regionId, peerId }: Replica, messages: readonly RaftMessage[]): void {
  const asking = messages.filter(({ type }) => type === "vote" || type === "pre-vote");
  const [first] = asking;
  if (first === undefined) return;
  const term = first.type === "pre-vote" ? first.term - 1 : first.term;
  const fields = { term, raft_id: peerId, region_id: regionId };
  if (first.type === "pre-vote") {
    log.info("raft.rs:1562", "starting a new election", fields);
    log.info("raft.rs:1170", `became pre-candidate at term ${term}`, fields);
  }
  log.info("raft.rs:1289", "broadcasting vote request", {
    type: named(first.type),
    log_term: first.logTerm,
    log_index: first.index,
    to: `[${asking.map(({ to }) => to).join(", ")}]`,
    ...fields,
  });
}

/** Somebody is ahead: this replica will follow. @param term its own */
export function logHigherTerm(log: NodeLog, { regionId, peerId }: Replica, message: RaftMessage, term: number): void {
  log.info("raft.rs:1371", `received a message with higher term from ${message.from}`, {
    "msg type": named(message.type),
    message_term: message.term,
    term,
    from: message.from,
    raft_id: peerId,
    region_id: regionId,
  });
}

/** A follower is too far behind for the log. */
export function logSnapshotSent(log: NodeLog, { regionId, peerId }: Replica, message: RaftMessage): void {
  const { snapshot, to } = message;
  if (snapshot === null) return;
  const key = `${regionId}_${snapshot.term}_${snapshot.index}`;
  log.info("peer_storage.rs:555", "requesting snapshot", {
    region_id: regionId,
    peer_id: peerId,
    request_index: snapshot.index,
    request_peer: to,
  });
  log.info("snap.rs:606", "scan snapshot", { region_id: regionId, snapshot: key, size: snapshot.data.length });
  log.info("snap.rs:259", "sent snapshot", { region_id: regionId, snap_key: key, size: snapshot.data.length });
}

export function logSnapshotApplied(log: NodeLog, { regionId, peerId }: Replica, tookMs: number): void {
  log.info("region.rs:441", "begin apply snap data", { region_id: regionId, peer_id: peerId });
  log.info("region.rs:518", "apply new data", { region_id: regionId, time_takes: `${tookMs.toFixed(3)}ms` });
}

/** Proposals that a majority does not take. */
export function logUncommitted(
  log: NodeLog,
  { regionId, peerId }: Replica,
  of: {
    readonly matches: readonly { readonly id: number; readonly match: number }[];
    readonly nextThresholdMs: number;
  },
): void {
  log.warn("peer.rs:5912", "found long uncommitted proposals", {
    region_id: regionId,
    peer_id: peerId,
    progress: `[${of.matches.map(({ id, match }) => `(${id}, 0, ${match})`).join(", ")}]`,
    next_turn_threshold: `${of.nextThresholdMs / 1000}s`,
  });
}
