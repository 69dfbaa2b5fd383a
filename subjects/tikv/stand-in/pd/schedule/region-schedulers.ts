import { distinctScore, matchesConstraints } from "../placement/location.ts";
import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import type { Plan } from "./operator.ts";
import { REGION_LIMIT, type Scheduler } from "./scheduler.ts";
import { regionScore } from "./store-score.ts";
import type { View } from "./view.ts";
import { movePeer, planOrNull } from "./wishes.ts";

/** What is under way counts so many times, so that stores do not swap places (pkg/schedule/schedulers/utils.go). */
const AMPLIFIED = 5;
/** The share of a store's regions that may stay uneven, at least one region of average size. */
const TOLERATED_SHARE = 0.005;
/** Empty regions are not worth moving in a cluster that has more regions than this. */
const FEW_REGIONS = 100;
const EMPTY_MIB = 1;

/** Replicas from where most data are to where fewest are (tikv/pd:pkg/schedule/schedulers/balance_region.go). */
export const balanceRegion: Scheduler = {
  name: "balance-region-scheduler",
  limit: REGION_LIMIT,
  propose: (view) => {
    const scores = new RegionScores(view);
    const sources = view.stores
      .filter((store) => store.regionCount > 0 && view.canGiveRegion(store))
      .sort((a, b) => scores.now(b) - scores.now(a) || a.meta.id - b.meta.id);
    for (const source of sources) {
      for (const region of regionsToGive(view, source)) {
        const plan = moveOne(view, scores, region, source);
        if (plan !== null) return [plan];
      }
    }
    return [];
  },
};

class RegionScores {
  readonly #view: View;
  readonly #tolerated: number;
  readonly #lowSpace: number;

  constructor(view: View) {
    this.#view = view;
    this.#lowSpace = view.number("low-space-ratio");
    const most = Math.max(0, ...view.stores.map(({ regionCount }) => regionCount));
    const average =
      view.regions.reduce((sum, each) => sum + Math.max(1, each.approximateSize), 0) / Math.max(1, view.regions.length);
    const ratio = view.number("tolerant-size-ratio") || Math.max(1, most * TOLERATED_SHARE);
    this.#tolerated = Math.floor(average * ratio);
  }

  now(store: StoreView): number {
    return regionScore(store, this.#lowSpace, this.#view.influence.get(store.meta.id).size);
  }
  /** After it has given: pessimistic about what is under way. */
  giving(store: StoreView): number {
    return regionScore(store, this.#lowSpace, -this.#moving(store) * AMPLIFIED - this.#tolerated);
  }
  taking(store: StoreView): number {
    return regionScore(store, this.#lowSpace, this.#moving(store) * AMPLIFIED + this.#tolerated);
  }
  #moving({ meta }: StoreView): number {
    return Math.abs(this.#view.influence.get(meta.id).size);
  }
}

/** Those behind first, then followers, then leaders. */
function regionsToGive(view: View, { meta }: StoreView): Region[] {
  const rank = (region: Region) => {
    if (region.pendingPeers.some(({ storeId }) => storeId === meta.id)) return 0;
    return region.leader?.storeId === meta.id ? 2 : 1;
  };
  return view.regions
    .filter(
      (region) =>
        region.peers.some(({ storeId }) => storeId === meta.id) &&
        region.leader !== null &&
        !view.isBusy(region) &&
        region.downPeers.length === 0 &&
        (region.pendingPeers.length === 0 || rank(region) === 0) &&
        (region.approximateSize > EMPTY_MIB || view.regions.length < FEW_REGIONS) &&
        view.isReplicated(region),
    )
    .sort((a, b) => rank(a) - rank(b) || view.options.heat(a.id) - view.options.heat(b.id));
}

function moveOne(view: View, scores: RegionScores, region: Region, source: StoreView): Plan | null {
  const target = placesFor(view, region, source)
    .filter((store) => !view.isLowOnSpace(store))
    .sort((a, b) => scores.now(a) - scores.now(b) || a.meta.id - b.meta.id)
    .find((store) => scores.taking(store) < scores.giving(source));
  if (target === undefined) return null;
  const wish = { desc: balanceRegion.name, kinds: ["region"] } as const;
  return planOrNull(() => movePeer(view, region, source.meta.id, target.meta.id, wish));
}

/** Stores that this peer could live on as well: same rule, and no nearer to the other peers. */
export function placesFor(view: View, region: Region, source: StoreView): StoreView[] {
  const fit = view.fit(region).fits.find(({ peers }) => peers.some(({ storeId }) => storeId === source.meta.id));
  if (fit === undefined) return [];
  const { rule } = fit;
  const others = fit.peers
    .filter(({ storeId }) => storeId !== source.meta.id)
    .flatMap(({ storeId }) => view.byId.get(storeId)?.meta ?? []);
  const least = distinctScore(rule.locationLabels, others, source.meta);
  return view.stores.filter(
    (store) =>
      region.peers.every(({ storeId }) => storeId !== store.meta.id) &&
      view.canTakeRegion(store) &&
      matchesConstraints(store.meta, rule.constraints) &&
      distinctScore(rule.locationLabels, others, store.meta) >= least,
  );
}

/** One replica to anywhere, each time. */
export const shuffleRegion: Scheduler = {
  name: "shuffle-region-scheduler",
  limit: { kind: "region", item: "region-schedule-limit" },
  propose: (view) => {
    const sources = view.stores.filter((store) => view.canGiveRegion(store) && store.regionCount > 0);
    if (sources.length === 0) return [];
    const source = view.random.pick(sources);
    const choices = regionsToGive(view, source).flatMap((region) =>
      placesFor(view, region, source).map((target) => ({ region, target })),
    );
    if (choices.length === 0) return [];
    const { region, target } = view.random.pick(choices);
    const wish = { desc: shuffleRegion.name, kinds: ["region"] } as const;
    return [planOrNull(() => movePeer(view, region, source.meta.id, target.meta.id, wish)) ?? []].flat();
  },
};
