import type { Peer, Region } from "../regions.ts";
import { ROLE } from "../schedule/step.ts";
import type { StoreView } from "../stores.ts";
import { isolationScore, matchesConstraints } from "./location.ts";
import type { Rule } from "./rule.ts";

export interface RuleFit {
  readonly rule: Rule;
  readonly peers: readonly Peer[];
  /** Those of `peers` that are, say, learners where the rule asks for voters. */
  readonly otherRole: readonly Peer[];
  readonly isolation: number;
}

export interface RegionFit {
  readonly fits: readonly RuleFit[];
  /** Peers that no rule asks for. */
  readonly orphans: readonly Peer[];
}

export function isSatisfied({ rule, peers, otherRole }: RuleFit): boolean {
  return peers.length === rule.count && otherRole.length === 0;
}

/**
 * Which peer serves which rule, so that the rules that come first are served best: most peers, then in the right roles,
 * then furthest apart (tikv/pd:pkg/schedule/placement/fit.go).
 */
export function fitRegion(region: Region, rules: readonly Rule[], stores: ReadonlyMap<number, StoreView>): RegionFit {
  return best(region, healthyFirst(region), rules, stores);
}

function best(
  region: Region,
  peers: readonly Peer[],
  rules: readonly Rule[],
  stores: ReadonlyMap<number, StoreView>,
): RegionFit {
  const [rule, ...rest] = rules;
  if (rule === undefined) return { fits: [], orphans: peers };
  const able = peers.filter(({ storeId }) => {
    const store = stores.get(storeId);
    return store !== undefined && matchesConstraints(store.meta, rule.constraints);
  });
  const candidates = combinations(able, Math.min(rule.count, able.length)).map((chosen) => {
    const fit = ruleFit(region, rule, chosen, stores);
    const others = best(
      region,
      peers.filter((peer) => !chosen.includes(peer)),
      rest,
      stores,
    );
    return { fits: [fit, ...others.fits], orphans: others.orphans };
  });
  return candidates.reduce((a, b) => (compare(b, a) > 0 ? b : a));
}

function ruleFit(region: Region, rule: Rule, peers: readonly Peer[], stores: ReadonlyMap<number, StoreView>): RuleFit {
  const metas = peers.flatMap(({ storeId }) => stores.get(storeId)?.meta ?? []);
  return {
    rule,
    peers,
    otherRole: peers.filter((peer) => !hasRole(region, peer, rule)),
    isolation: isolationScore(metas, rule.locationLabels),
  };
}

function hasRole({ leader }: Region, peer: Peer, { role }: Rule): boolean {
  const isLearner = peer.role === ROLE.learner;
  if (role === "learner") return isLearner;
  if (isLearner) return false;
  return role === "voter" || (role === "leader") === (leader?.id === peer.id);
}

function compare(a: RegionFit, b: RegionFit): number {
  for (const [at, left] of a.fits.entries()) {
    const right = b.fits[at] as RuleFit;
    const difference =
      left.peers.length - right.peers.length ||
      right.otherRole.length - left.otherRole.length ||
      left.isolation - right.isolation;
    if (difference !== 0) return difference;
  }
  return b.orphans.length - a.orphans.length;
}

/** So that of several equally good choices the one that leaves out a silent peer wins. */
function healthyFirst({ peers, downPeers, pendingPeers }: Region): Peer[] {
  const health = ({ id }: Peer) => {
    if (downPeers.some(({ peer }) => peer.id === id)) return 0;
    return pendingPeers.some((peer) => peer.id === id) ? 1 : 2;
  };
  return [...peers].sort((a, b) => health(b) - health(a) || a.id - b.id);
}

function combinations<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, at) => combinations(items.slice(at + 1), size - 1).map((rest) => [item, ...rest]));
}
