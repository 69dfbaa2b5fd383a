import type { Region } from "../regions.ts";
import type { Flow, HotRegion } from "../statistics/hot-regions.ts";
import { FLOWS } from "../statistics/hot-regions.ts";
import type { StoreView } from "../stores.ts";
import { buildPlan } from "./build-plan.ts";
import { heirs } from "./leader-schedulers.ts";
import type { Plan } from "./operator.ts";
import { placesFor } from "./region-schedulers.ts";
import { HOT_LIMIT, type Scheduler } from "./scheduler.ts";
import type { View } from "./view.ts";
import { movePeer, planOrNull } from "./wishes.ts";

/** Only a move that takes away much of the difference is worth it. */
const MOST_OF_DIFFERENCE = 0.75;

interface Hot {
  readonly hot: HotRegion;
  readonly region: Region;
}

/**
 * Moves one hot leader, or with more stores than replicas one hot replica, from the store with most flow to the one with
 * least, by bytes a second. What PD's solver weighs besides (keys, queries, pending influences, ranks) is not weighed.
 */
export function balanceHotRegion(hotOf: (flow: Flow) => readonly HotRegion[]): Scheduler {
  return {
    name: "balance-hot-region-scheduler",
    limit: HOT_LIMIT,
    propose: (view) => {
      for (const flow of FLOWS) {
        const all = hotOf(flow).flatMap((hot): Hot[] => {
          const region = view.regions.find(({ id }) => id === hot.regionId);
          return region === undefined || region.leader === null ? [] : [{ hot, region }];
        });
        const plan = moveLeader(view, flow, all) ?? (flow === "write" ? movePeerOf(view, all) : null);
        if (plan !== null) return [plan];
      }
      return [];
    },
  };
}

function moveLeader(view: View, flow: Flow, all: readonly Hot[]): Plan | null {
  const load = loads(all, ({ leader }) => (leader === null ? [] : [leader.storeId]));
  return busiestFirst(view, load).reduce<Plan | null>((found, source) => {
    if (found !== null) return found;
    const own = all.filter(({ region }) => region.leader?.storeId === source.meta.id && !view.isBusy(region));
    return firstMove(
      own,
      (each) => coolest(load, heirs(view, each.region), source, each.hot),
      (region, target) =>
        planOrNull(() =>
          buildPlan(view, region, {
            desc: `transfer-hot-${flow}-leader`,
            kinds: ["hot-region", "leader"],
            leader: target.meta.id,
          }),
        ),
    );
  }, null);
}

function movePeerOf(view: View, all: readonly Hot[]): Plan | null {
  const load = loads(all, ({ peers }) => peers.map(({ storeId }) => storeId));
  const [source] = busiestFirst(view, load);
  if (source === undefined || !view.canGiveRegion(source)) return null;
  const own = all.filter(
    ({ region }) =>
      region.peers.some(({ storeId }) => storeId === source.meta.id) &&
      !view.isBusy(region) &&
      view.isReplicated(region),
  );
  return firstMove(
    own,
    (each) => coolest(load, placesFor(view, each.region, source), source, each.hot),
    (region, to) =>
      planOrNull(() =>
        movePeer(view, region, source.meta.id, to.meta.id, { desc: "move-hot-write-peer", kinds: ["hot-region"] }),
      ),
  );
}

function firstMove(
  hot: readonly Hot[],
  targetOf: (hot: Hot) => StoreView | undefined,
  make: (region: Region, target: StoreView) => Plan | null,
): Plan | null {
  for (const each of [...hot].sort((a, b) => b.hot.bytes - a.hot.bytes)) {
    const target = targetOf(each);
    const plan = target === undefined ? null : make(each.region, target);
    if (plan !== null) return plan;
  }
  return null;
}

function loads(all: readonly Hot[], storesOf: (region: Region) => readonly number[]): ReadonlyMap<number, number> {
  const load = new Map<number, number>();
  for (const { hot, region } of all)
    for (const storeId of storesOf(region)) load.set(storeId, (load.get(storeId) ?? 0) + hot.bytes);
  return load;
}

function busiestFirst(view: View, load: ReadonlyMap<number, number>): StoreView[] {
  return view.stores
    .filter(({ meta }) => (load.get(meta.id) ?? 0) > 0)
    .sort((a, b) => (load.get(b.meta.id) ?? 0) - (load.get(a.meta.id) ?? 0));
}

function coolest(
  load: ReadonlyMap<number, number>,
  targets: readonly StoreView[],
  source: StoreView,
  { bytes }: HotRegion,
): StoreView | undefined {
  const of = ({ meta }: StoreView) => load.get(meta.id) ?? 0;
  const best = [...targets].sort((a, b) => of(a) - of(b))[0];
  return best !== undefined && bytes <= (of(source) - of(best)) * MOST_OF_DIFFERENCE ? best : undefined;
}
