import type { Clock } from "../../../../harness/base/clock.ts";
import type { RaftMessage } from "../../../common/raft/index.ts";
import type { NodeLog } from "../node-log.ts";
import type { DiskUsage } from "./disk-usage.ts";
import type { FlowMeter } from "./peer-flow.ts";
import type { RaftMetrics } from "./raft-metrics.ts";
import type { RegionError } from "./region-errors.ts";
import type { RegionPeer } from "./region-peer.ts";
import type { CasOutcome, SplitOff } from "./region-state.ts";
import type { Peer, Region } from "./region.ts";

/** What a peer needs of the store that it lives on. */
export interface PeerHost {
  readonly storeId: number;
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly metrics: RaftMetrics;
  readonly timeFactor: number;
  /** Of all regions together. */
  readonly flow: FlowMeter;
  /** Of this store, or of another one as it last said. */
  diskUsageOf(storeId: number): DiskUsage;
  send(peer: RegionPeer, messages: readonly RaftMessage[]): void;
  /** Asks the leader from which index on a read may be answered here; may be lost. */
  askReadIndex(peer: RegionPeer, leader: Peer, context: number): void;
  /** The answer for a follower that asked; may be lost. */
  answerReadIndex(peer: RegionPeer, to: Peer, context: number, index: number): void;
  onSplit(parent: RegionPeer, parts: readonly SplitOff[]): void;
  /** `target` has taken this region over: its replica here goes. */
  onMerged(target: RegionPeer, source: Region): void;
  /** Its leader, peers or range changed, or a follower caught up: PD should know. */
  onChanged(peer: RegionPeer, what: "role" | "peers" | "range" | "caught-up"): void;
  /** It is no longer a member. */
  onRemoved(peer: RegionPeer): void;
  wake(regionId: number): void;
}

export type WriteResult =
  { readonly ok: true; readonly cas: readonly CasOutcome[] } | { readonly ok: false; readonly error: RegionError };
