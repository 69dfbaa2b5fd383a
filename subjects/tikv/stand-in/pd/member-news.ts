import type { Clock } from "../../../../harness/base/clock.ts";
import type { Cluster } from "./cluster.ts";
import { NotDecidedError, type Consensus } from "./consensus.ts";
import type { Leadership } from "./leadership.ts";
import type { News } from "./member-links.ts";
import { hexId } from "./metrics-etcd.ts";
import type { ObservedMetrics } from "./metrics-observed.ts";
import type { QuorumReads } from "./quorum-reads.ts";
import type { Region } from "./regions.ts";
import type { ClusterState, MemberMeta } from "./state.ts";

/** Followers ask again each half second; what is older is of no use to them. */
const READ_PATIENCE_MS = 2_000;
/** etcd's `ConnProbingInterval` between members (server/etcdserver/api/rafthttp/probing_status.go). */
const PROBE_MS = 3_000;

/** Tells the leader of the log under which URLs clients reach this member. */
export function introduce(consensus: Consensus | null, self: MemberMeta): void {
  const leader = consensus?.raftLeader;
  if (consensus === null || leader === null || leader === undefined) return;
  const known = consensus.state.members.find(({ name }) => name === self.name);
  if (known === undefined || known.clientUrls.join() === self.clientUrls.join()) return;
  const member = { ...known, clientUrls: self.clientUrls };
  if (leader === self.name) decideMember(consensus, member);
  else consensus.tell(leader, { kind: "member", member });
}

/** After each change of what is agreed on. */
export function learnMember(consensus: Consensus | null, state: ClusterState, self: MemberMeta): void {
  // A snapshot or another life of this member may have brought old URLs.
  if (state.members.some(({ name, clientUrls }) => name === self.name && clientUrls.join() !== self.clientUrls.join()))
    introduce(consensus, self);
}

function decideMember(consensus: Consensus, member: MemberMeta): void {
  const known = consensus.state.members.find(({ name }) => name === member.name);
  if (known === undefined || known.clientUrls.join() === member.clientUrls.join()) return;
  consensus.propose({ kind: "member", member }).catch((error: unknown) => {
    // It will introduce itself again to whoever leads next.
    if (!(error instanceof NotDecidedError)) throw error;
  });
}

/** As etcd's prober does. */
export async function probePeers(consensus: Consensus, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    consensus.tellAll({ kind: "probe", at: clock.monotonic() });
    await clock.sleep(PROBE_MS, signal).catch(() => {});
  }
}

/** Of another life of this process: whoever leads the log now need not wait for it. */
export function giveUpOldKey(consensus: Consensus | null, leadership: Leadership): void {
  const leader = consensus?.raftLeader;
  if (consensus === null || leader === null || leader === undefined || !leadership.hasOldKey) return;
  consensus.tell(leader, { kind: "key-given-up" });
}

export interface NewsParts {
  readonly consensus: Consensus | null;
  readonly cluster: Cluster | null;
  readonly reads: QuorumReads | null;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly observed: ObservedMetrics;
}

/** What another member told. */
export function onNews(parts: NewsParts, from: string, news: News): void {
  const { consensus, cluster, reads, leadership } = parts;
  if (consensus === null || cluster === null) return;
  switch (news.kind) {
    case "member":
      if (consensus.role.role === "leader") decideMember(consensus, news.member);
      return;
    case "read": {
      const confirmed = () => consensus.tell(from, { kind: "read-confirmed", id: news.id });
      // Not confirmed: who asked asks again, or learns of another leader.
      consensus.confirmLeading(AbortSignal.timeout(READ_PATIENCE_MS)).then(confirmed, () => {});
      return;
    }
    case "read-confirmed":
      return reads?.confirmed(news.id);
    case "key-given-up":
      leadership.keyGivenUp(from).catch((error: unknown) => {
        // Whoever leads next waits for the lease, as without it.
        if (!(error instanceof NotDecidedError)) throw error;
      });
      return;
    case "probe":
      return consensus.tell(from, { kind: "probe-back", at: news.at });
    case "probe-back": {
      const id = consensus.state.members.find(({ name }) => name === from)?.id ?? "0";
      return parts.observed.roundTrip.observe({ To: hexId(id) }, (parts.clock.monotonic() - news.at) / 1_000);
    }
    case "regions":
      return takeRegions(consensus, cluster, from, news);
  }
}

function takeRegions(consensus: Consensus, cluster: Cluster, from: string, news: News & { kind: "regions" }): void {
  // An old leader may still have something on its way; a member that has just started knows of no leader yet.
  if (consensus.raftLeader !== null && consensus.raftLeader !== from) return;
  if (news.whole) cluster.regions.clear();
  for (const region of news.regions as readonly Region[]) cluster.regions.put(region);
}
