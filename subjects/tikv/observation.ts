import type { ClientWindow, Component, ContainerState, Observation, Reading } from "../../harness/protocol.ts";
import type { EtcdHealth } from "./kit/clients/pd.ts";

/** One PD member as we see it, not as PD sees it. */
export interface PdMemberView {
  /** It answered something, whatever it was; a connection alone is no answer. */
  readonly answers: boolean;
  /** Why not, when it does not. */
  readonly why: string | null;
  readonly etcd: Reading<EtcdHealth>;
}

export interface PdLeaderView {
  readonly name: Component;
  /** How long we have seen this member lead without a break. A young leader's store states are old news. */
  readonly forMs: number;
  readonly votes: number;
  readonly of: number;
}

export interface StoreView {
  readonly component: Component;
  readonly id: string;
  /** PD's name for it: Up, Disconnected, Down, Offline, Tombstone. */
  readonly stateName: string;
  readonly leaderCount: number;
  readonly regionCount: number;
  /** Epoch ms; moves with every start. */
  readonly startedAtMs: number | null;
}

export interface RegionCounts {
  readonly missPeer: number;
  readonly downPeer: number;
  readonly pendingPeer: number;
  readonly offlinePeer: number;
}

export interface PdView {
  /** Null: no member is leader, or none that we may believe. */
  readonly leader: PdLeaderView | null;
  /** As that leader sees them. */
  readonly stores: Reading<readonly StoreView[]>;
  readonly regions: Reading<RegionCounts>;
}

export interface ProbeView {
  readonly answers: boolean;
  readonly why: string | null;
}

export interface DiskView {
  readonly usedShare: number;
  readonly availableBytes: number;
}

/** Figures that only Prometheus has. Null: it has no such series (nothing was asked of the store, or it is gone). */
export interface MetricsView {
  readonly targets: readonly { readonly component: Component; readonly job: string; readonly up: boolean }[];
  readonly p99Ms: Readonly<Record<string, number>>;
  readonly errorRatio: number | null;
  readonly disk: Readonly<Record<string, DiskView>>;
}

/** A type, not an interface: only types are assignable to the index signature of `Observation.sources`. */
export type TikvSources = {
  /** The leader's view; missing when no member answers anything. */
  readonly pd?: Reading<PdView>;
  /** Each PD member, asked directly. */
  readonly pdMembers?: Reading<Readonly<Record<string, PdMemberView>>>;
  /** Each store's status port, asked directly. */
  readonly probes?: Reading<Readonly<Record<string, ProbeView>>>;
  readonly engine?: Reading<readonly ContainerState[]>;
  readonly prometheus?: Reading<MetricsView>;
  /** What the workload's clients saw. */
  readonly client?: Reading<ClientWindow>;
};

export interface TikvObservation extends Observation {
  readonly sources: TikvSources;
}
