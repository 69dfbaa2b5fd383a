import { regionFromWire, type Peer, type Region, type WireRegion } from "../regions.ts";
import { ROLE } from "../schedule/step.ts";

/** pdpb.StoreReport as the loader gives it; only what recovery reads. */
export interface WireStoreReport {
  readonly step: string;
  readonly peer_reports: readonly {
    readonly raft_state: {
      readonly hard_state: { readonly term: string; readonly commit: string } | null;
      readonly last_index: string;
    } | null;
    readonly region_state: { readonly region: WireRegion | null } | null;
    readonly is_force_leader: boolean;
    readonly has_commit_merge: boolean;
    readonly applied_index: string;
  }[];
}

/** What one store knows of one of its replicas. */
export interface PeerReport {
  readonly storeId: number;
  readonly region: Region;
  readonly term: number;
  readonly commit: number;
  readonly lastIndex: number;
  readonly appliedIndex: number;
  readonly isForceLeader: boolean;
  readonly hasCommitMerge: boolean;
}

export function reportsFromWire(storeId: number, { peer_reports }: WireStoreReport): PeerReport[] {
  return peer_reports.flatMap((report) => {
    const region = report.region_state?.region ?? null;
    if (region === null) return [];
    return [
      {
        storeId,
        region: regionFromWire(region, null),
        term: Number(report.raft_state?.hard_state?.term ?? 0),
        commit: Number(report.raft_state?.hard_state?.commit ?? 0),
        lastIndex: Number(report.raft_state?.last_index ?? 0),
        appliedIndex: Number(report.applied_index),
        isForceLeader: report.is_force_leader,
        hasCommitMerge: report.has_commit_merge,
      },
    ];
  });
}

/** What the living stores know together, as one picture of the key space. */
export interface Picture {
  /** The newest report of each region that stands, in order of keys, without overlap. */
  readonly newest: readonly PeerReport[];
  readonly byRegion: ReadonlyMap<number, readonly PeerReport[]>;
}

export function pictureOf(reports: readonly PeerReport[]): Picture {
  const byRegion = Map.groupBy(reports, ({ region }) => region.id);
  const newest: PeerReport[] = [];
  const latest = [...byRegion.values()]
    .map((all) => all.reduce((a, b) => (isOlder(a, b) ? b : a)))
    // Not initialized: it knows nothing of its region yet.
    .filter(({ region }) => region.peers.length > 0)
    .sort((a, b) => (isOlder(a, b) ? 1 : isOlder(b, a) ? -1 : 0));
  for (const report of latest) if (newest.every((other) => !overlaps(other.region, report.region))) newest.push(report);
  return { newest: newest.sort((a, b) => (a.region.startKey < b.region.startKey ? -1 : 1)), byRegion };
}

function isOlder({ region: a }: PeerReport, { region: b }: PeerReport): boolean {
  return a.version < b.version || (a.version === b.version && a.confVer < b.confVer);
}

export function overlaps(a: Region, b: Region): boolean {
  return (a.endKey === "" || b.startKey < a.endKey) && (b.endKey === "" || a.startKey < b.endKey);
}

/** The replica whose log goes furthest, and a voter rather than a learner. */
export function bestReplica(reports: readonly PeerReport[]): PeerReport | undefined {
  const isVoter = ({ storeId, region }: PeerReport) =>
    region.peers.some(
      (peer) => peer.storeId === storeId && (peer.role === ROLE.voter || peer.role === ROLE.incomingVoter),
    );
  return reports.reduce<PeerReport | undefined>((a, b) => {
    if (a === undefined) return b;
    const better =
      b.term - a.term ||
      Math.max(b.lastIndex, b.appliedIndex) - Math.max(a.lastIndex, a.appliedIndex) ||
      b.lastIndex - a.lastIndex ||
      b.commit - a.commit ||
      Number(isVoter(b)) - Number(isVoter(a));
    return better > 0 ? b : a;
  }, undefined);
}

/** Whether those who live are a majority, on both sides of a joint state. */
export function canElect(region: Region, isFailed: (peer: Peer) => boolean, onlyIncoming: boolean): boolean {
  const hasQuorum = (roles: readonly number[]) => {
    const voters = region.peers.filter(({ role }) => roles.includes(role));
    const failed = voters.filter(isFailed).length;
    return failed < voters.length - failed;
  };
  return hasQuorum([ROLE.voter, ROLE.incomingVoter]) && (onlyIncoming || hasQuorum([ROLE.voter, ROLE.demotingVoter]));
}
