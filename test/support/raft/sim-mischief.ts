import type {
  ConfChange,
  GroupImage,
  RaftMessage,
  RaftNode,
  RaftStorage,
} from "../../../subjects/common/raft/index.ts";
import type { SimProcess } from "./sim-process.ts";

/**
 * Where a bug can be planted around the real parts: everything that passes between the core, the disk, the network
 * and the state machine. Nothing of it is in the product; without any, the simulation is the product as it is.
 */
export interface Mischief {
  storage?(storage: RaftStorage, process: SimProcess): RaftStorage;
  restored?(image: GroupImage): GroupImage;
  /** What leaves instead of this message. */
  outgoing?(message: RaftMessage, process: SimProcess, group: number): readonly RaftMessage[];
  /** True = the message has been dealt with. */
  incoming?(message: RaftMessage, process: SimProcess, group: number): boolean;
  applyConf?(node: RaftNode, change: ConfChange): void;
  /** True = answered from the index that it gave to `answer`. */
  read?(node: RaftNode, answer: (index: number) => void): boolean;
  /** True = the write counts as done although it is only in the log here. */
  acknowledgesEarly?: boolean;
  monotonic?(real: () => number, process: SimProcess): () => number;
  transfer?(process: SimProcess, group: number, node: RaftNode, to: number): void;
}
