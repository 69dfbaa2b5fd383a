import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import { buildPlan } from "./build-plan.ts";
import { PRIORITY, type Plan } from "./operator.ts";
import { LEADER_LIMIT, type Scheduler } from "./scheduler.ts";
import { leaderScore } from "./store-score.ts";
import type { View } from "./view.ts";
import { planOrNull } from "./wishes.ts";

/** PD's default is 5 leaders; with the handful of regions that ours have that would be no balance at all. */
const TOLERATED = 0.5;
const BATCH = 4;
const EVICT_BATCH = 3;

/** From where most are to where fewest are, until it would not be more even (tikv/pd:.../schedulers/balance_leader.go). */
export const balanceLeader: Scheduler = {
  name: "balance-leader-scheduler",
  limit: LEADER_LIMIT,
  propose: (view) => {
    const plans: Plan[] = [];
    while (plans.length < BATCH) {
      const plan = oneBalancing(view, new Set(plans.map(({ region }) => region.id)));
      if (plan === null) break;
      plans.push(plan);
      view.influence.add(plan);
    }
    return plans;
  },
};

function oneBalancing(view: View, used: ReadonlySet<number>): Plan | null {
  const tolerated = view.number("tolerant-size-ratio") || TOLERATED;
  const moving = (store: StoreView) => Math.abs(view.influence.get(store.meta.id).leaders);
  const out = (store: StoreView) => leaderScore(store, -moving(store) - tolerated);
  const into = (store: StoreView) => leaderScore(store, moving(store) + tolerated);
  const sources = view.stores
    .filter((store) => store.leaderCount > 0 && view.canGiveLeader(store))
    .sort((a, b) => out(b) - out(a) || a.meta.id - b.meta.id);
  for (const source of sources) {
    for (const region of movable(view, source.meta.id, used)) {
      const target = heirs(view, region)
        .sort((a, b) => into(a) - into(b) || a.meta.id - b.meta.id)
        .find((each) => into(each) < out(source));
      const plan = target && transferPlan(view, region, target, balanceLeader.name);
      if (plan) return plan;
    }
  }
  return null;
}

/**
 * Regions that this store leads, that nobody works on, and that are well enough; the coolest first. PD passes over hot
 * ones altogether, which in a cluster with so few regions could mean all.
 */
function movable(view: View, storeId: number, used: ReadonlySet<number>): Region[] {
  const heat = ({ id }: Region) => view.options.heat(id);
  return view.regions
    .filter(
      (region) =>
        region.leader?.storeId === storeId &&
        !view.isBusy(region) &&
        !used.has(region.id) &&
        region.downPeers.length === 0 &&
        region.pendingPeers.length === 0,
    )
    .sort((a, b) => heat(a) - heat(b));
}

/** Stores of other peers that could lead it now. */
export function heirs(view: View, region: Region): StoreView[] {
  return region.peers
    .filter((peer) => peer.storeId !== region.leader?.storeId && view.canLead(region, peer))
    .flatMap(({ storeId }) => view.byId.get(storeId) ?? []);
}

export function transferPlan(view: View, region: Region, to: StoreView, desc: string): Plan | null {
  return planOrNull(() => buildPlan(view, region, { desc, kinds: ["leader"], leader: to.meta.id }));
}

/** Every leader away from these stores, to whoever has fewest. */
export function evictFrom(name: string, storeIds: readonly number[]): Scheduler {
  return {
    name,
    limit: LEADER_LIMIT,
    propose: (view) =>
      view.regions
        .filter((region) => storeIds.includes(region.leader?.storeId ?? 0) && !view.isBusy(region))
        .slice(0, EVICT_BATCH * storeIds.length)
        .flatMap((region) => evictionOf(view, region, name) ?? []),
  };
}

function evictionOf(view: View, region: Region, desc: string): Plan | null {
  const load = (store: StoreView) => leaderScore(store, view.influence.get(store.meta.id).leaders);
  const targets = heirs(view, region).sort((a, b) => load(a) - load(b) || a.meta.id - b.meta.id);
  const best = targets[0]?.meta.id;
  if (best === undefined) return null;
  const leaders = targets.map(({ meta }) => meta.id).sort((a, b) => a - b);
  const wish = { desc, kinds: ["leader"], leader: best, leaders, priority: PRIORITY.urgent } as const;
  const plan = planOrNull(() => buildPlan(view, region, wish));
  if (plan !== null) view.influence.add(plan);
  return plan;
}

/** Every leader to these stores, where they have a replica. */
export function grantTo(storeIds: readonly number[]): Scheduler {
  const name = "grant-leader-scheduler";
  return {
    name,
    limit: LEADER_LIMIT,
    propose: (view) =>
      view.regions
        .filter((region) => !storeIds.includes(region.leader?.storeId ?? 0) && !view.isBusy(region))
        .flatMap((region) => {
          const target = heirs(view, region).find(({ meta }) => storeIds.includes(meta.id));
          return (target && transferPlan(view, region, target, name)) ?? [];
        }),
  };
}

/** One leader to anywhere, each time: to look for trouble. */
export const shuffleLeader: Scheduler = {
  name: "shuffle-leader-scheduler",
  limit: LEADER_LIMIT,
  propose: (view) => {
    const free = view.regions.filter((region) => !view.isBusy(region) && heirs(view, region).length > 0);
    if (free.length === 0) return [];
    const region = view.random.pick(free);
    return [transferPlan(view, region, view.random.pick(heirs(view, region)), shuffleLeader.name) ?? []].flat();
  },
};
