export { ByteReader, ByteWriter } from "./bytes.ts";
export {
  decodeConfChange,
  decodeMessage,
  encodeConfChange,
  encodeMessage,
  readMessage,
  writeMessage,
} from "./codec.ts";
export { FileRaftStorage } from "./file-raft-storage.ts";
export { emptyMember, newGroup } from "./new-group.ts";
export type { LeaseOptions } from "./leader-lease.ts";
export type { MemberStatus } from "./leadership.ts";
export { Membership } from "./membership.ts";
export { RaftNode, type RaftNodeOptions, type Restored } from "./raft-node.ts";
export { RaftRunner, type RaftGroup, type RaftRunnerOptions } from "./raft-runner.ts";
export type { GroupImage, GroupUpdate, RaftStorage } from "./storage.ts";
export type {
  ConfChange,
  ConfChangeStep,
  ConfState,
  ConfTransition,
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
