import { distinctScore, isIsolated, matchesConstraints } from "../placement/location.ts";
import type { Rule } from "../placement/rule.ts";
import type { Region } from "../regions.ts";
import type { StoreMeta } from "../state.ts";
import type { StoreView } from "../stores.ts";
import { regionScore } from "./store-score.ts";
import type { View } from "./view.ts";

/**
 * Where a new replica goes, or null: furthest from those that stay, then where fewest data are. It waits for the best
 * place when that is only busy now (tikv/pd:pkg/schedule/checker/replica_strategy.go). `better`: only if it is further
 * from the others than this store.
 */
export function storeToAdd(
  view: View,
  region: Region,
  rule: Rule,
  others: readonly StoreMeta[],
  better?: StoreMeta,
): StoreView | null {
  const { locationLabels: labels, isolationLevel } = rule;
  const distance = ({ meta }: StoreView) => distinctScore(labels, others, meta);
  const possible = view.stores.filter(
    (store) =>
      region.peers.every(({ storeId }) => storeId !== store.meta.id) &&
      view.canTakeRegion(store, true) &&
      !view.isLowOnSpace(store) &&
      matchesConstraints(store.meta, rule.constraints) &&
      isIsolated(isolationLevel, labels, others, store.meta) &&
      (better === undefined || distance(store) > distinctScore(labels, others, better)),
  );
  const furthest = Math.max(...possible.map(distance));
  const ready = possible.filter((store) => distance(store) === furthest && view.canTakeRegion(store));
  return leastFilled(view, ready);
}

/** Of a rule's stores the one whose replica is missed least: nearest to the others, then the fullest. */
export function storeToRemove(view: View, rule: Rule, stores: readonly StoreView[]): StoreView | null {
  const metas = stores.map(({ meta }) => meta);
  const distance = ({ meta }: StoreView) => distinctScore(rule.locationLabels, metas, meta);
  const possible = stores.filter((store) => view.canGiveRegion(store));
  const nearest = Math.min(...possible.map(distance));
  const candidates = possible.filter((store) => distance(store) === nearest);
  return candidates.reduce<StoreView | null>((a, b) => (a === null || score(view, b) > score(view, a) ? b : a), null);
}

function leastFilled(view: View, stores: readonly StoreView[]): StoreView | null {
  return stores.reduce<StoreView | null>((a, b) => (a === null || score(view, b) < score(view, a) ? b : a), null);
}

/** With what is on its way, so that one round does not send everything to the same place. */
function score(view: View, store: StoreView): number {
  return regionScore(store, view.number("low-space-ratio"), view.influence.get(store.meta.id).size);
}
