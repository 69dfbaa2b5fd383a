import type { PeerMessage, RegionMessage } from "./region.ts";

/** Replies of `pdpb.PD` as the loader gives them; only what a store reads. */

export interface ReplyHeader {
  readonly cluster_id: string;
  readonly error: { readonly type: number; readonly message: string } | null;
}

export interface MemberMessage {
  readonly name: string;
  readonly client_urls: readonly string[];
}

export interface GetMembersReply {
  readonly header: ReplyHeader | null;
  readonly members: readonly MemberMessage[];
  readonly leader: MemberMessage | null;
}

export interface RegionHeartbeatReply {
  readonly header: ReplyHeader | null;
  readonly region_id: string;
  readonly region_epoch: { readonly conf_ver: string; readonly version: string } | null;
  readonly change_peer: ChangePeerMessage | null;
  readonly change_peer_v2: { readonly changes: readonly ChangePeerMessage[] } | null;
  readonly transfer_leader: { readonly peer: PeerMessage | null; readonly peers: readonly PeerMessage[] } | null;
  readonly split_region: { readonly policy: number; readonly keys: readonly Buffer[] } | null;
  readonly merge: { readonly target: RegionMessage | null } | null;
  /** The leader of when PD decided. */
  readonly target_peer: PeerMessage | null;
}

export interface StoreHeartbeatReply {
  /** `metapb.NodeState` of this store. */
  readonly state: number;
  readonly cluster_version: string;
  readonly recovery_plan: RecoveryPlanMessage | null;
  /** PD wants requests to be held, or let through again (`pdpb.ControlGrpcEvent`). */
  readonly control_grpc: { readonly ctrl_event: number } | null;
}

/** `pdpb.RecoveryPlan`: what this store is to do for regions that lost their majority for good. */
export interface RecoveryPlanMessage {
  readonly creates: readonly RegionMessage[];
  readonly tombstones: readonly string[];
  readonly demotes: readonly { readonly region_id: string; readonly failed_voters: readonly PeerMessage[] }[];
  readonly force_leader: {
    readonly failed_stores: readonly string[];
    readonly enter_force_leaders: readonly string[];
  } | null;
  readonly step: string;
}

export interface ChangePeerMessage {
  readonly peer: PeerMessage | null;
  readonly change_type: number;
}

/** What a store calls, and what it gets: request without header -> reply. */
export interface PdCalls {
  IsBootstrapped: { request: object; reply: { readonly bootstrapped: boolean } };
  Bootstrap: { request: { store: StoreMessage; region: RegionMessage }; reply: object };
  AllocID: { request: object; reply: { readonly id: string } };
  PutStore: { request: { store: StoreMessage }; reply: object };
  GetStore: { request: { store_id: string }; reply: { readonly store: StoreMessage | null } };
  GetRegionByID: { request: { region_id: string }; reply: { readonly region: RegionMessage | null } };
  StoreHeartbeat: { request: { stats: object; store_report: object | null }; reply: StoreHeartbeatReply };
  AskBatchSplit: {
    request: { region: RegionMessage; split_count: number; reason: number };
    reply: { readonly ids: readonly { readonly new_region_id: string; readonly new_peer_ids: readonly string[] }[] };
  };
  ReportBatchSplit: { request: { regions: readonly RegionMessage[] }; reply: object };
}

export interface StoreMessage {
  readonly id: string;
  readonly address: string;
  readonly status_address: string;
  readonly version: string;
  readonly git_hash: string;
  readonly start_timestamp: string;
  readonly deploy_path: string;
  /** `metapb.StoreState`; PD's to say. */
  readonly state?: number;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
}
