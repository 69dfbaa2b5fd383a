import { rulesFor } from "../placement/rule.ts";
import type { Region } from "../regions.ts";
import type { Plan } from "./operator.ts";
import type { CountEvent } from "./rule-checker.ts";
import type { View } from "./view.ts";
import { mergePlans } from "./wishes.ts";
import { CannotBuild } from "./build-plan.ts";

/** MiB: a neighbour that is larger is left alone. */
const MAX_TARGET_MIB = 500;

export interface MergeInput {
  /** Nothing is merged within `split-merge-interval` of the start and of a split. */
  readonly recentlyStarted: boolean;
  wasSplitRecently(regionId: number): boolean;
  /** Keys (hex) that always stay a boundary. */
  readonly boundaries: ReadonlySet<string>;
}

/** Both operators of a merge with a neighbour when a region is small (tikv/pd:pkg/schedule/checker/merge_checker.go). */
export function checkMerge(view: View, at: number, input: MergeInput, count: CountEvent): readonly Plan[] {
  const { regions } = view;
  const region = regions[at] as Region;
  const no = (why: string): readonly Plan[] => {
    count(why);
    return [];
  };
  count("check");
  if (input.recentlyStarted) return no("recently-start");
  if (input.wasSplitRecently(region.id)) return no("recently-split");
  if (region.leader === null) return no("no-leader");
  if (!isSmall(view, region)) return no("no-need");
  if (!view.isHealthy(region)) return no("unhealthy-region");
  if (!view.isReplicated(region)) return no("abnormal-replica");
  if (view.options.heat(region.id) > 0) return no("hot-region");
  const next = adjacent(view, region, regions[at + 1], input, count);
  const before = view.is("enable-one-way-merge") ? null : adjacent(view, region, regions[at - 1], input, count);
  const target = smaller(next, before);
  if (target === null) return no("no-target");
  if (target.approximateSize > MAX_TARGET_MIB) return no("target-too-large");
  count("new-operator");
  if (region.approximateSize > target.approximateSize) count("larger-source");
  try {
    return mergePlans(view, region, target, "merge-region", ["merge"]);
  } catch (error) {
    if (error instanceof CannotBuild) return [];
    throw error;
  }
}

function isSmall(view: View, { approximateSize, approximateKeys }: Region): boolean {
  return (
    approximateSize <= view.number("max-merge-region-size") && approximateKeys <= view.number("max-merge-region-keys")
  );
}

function smaller(a: Region | null, b: Region | null): Region | null {
  return b !== null && (a === null || b.approximateSize < a.approximateSize) ? b : a;
}

function adjacent(
  view: View,
  region: Region,
  neighbour: Region | undefined,
  input: MergeInput,
  count: CountEvent,
): Region | null {
  const why = whyNot(view, region, neighbour, input);
  if (why !== null) count(why);
  return why === null ? (neighbour ?? null) : null;
}

function whyNot(view: View, region: Region, neighbour: Region | undefined, input: MergeInput): string | null {
  if (neighbour === undefined) return "adj-not-exist";
  if (view.isBusy(neighbour)) return "adj-special-peer";
  if (input.wasSplitRecently(neighbour.id)) return "adj-recently-split";
  if (view.options.heat(neighbour.id) > 0) return "adj-region-hot";
  if (!mayMerge(view, region, neighbour, input)) return "adj-disallow-merge";
  const there = new Set(region.peers.map(({ storeId }) => storeId));
  const isLeaving = (storeId: number) => view.byId.get(storeId)?.meta.state !== 0;
  if (neighbour.peers.some(({ storeId }) => isLeaving(storeId) && !there.has(storeId))) return "adj-abnormal-peerstore";
  if (!view.isHealthy(neighbour)) return "adj-special-peer";
  return view.isReplicated(neighbour) ? null : "adj-abnormal-replica";
}

function mayMerge(view: View, a: Region, b: Region, { boundaries }: MergeInput): boolean {
  const between = a.endKey === b.startKey ? b.startKey : a.startKey;
  if (between === "" || (a.endKey !== b.startKey && b.endKey !== a.startKey) || boundaries.has(between)) return false;
  const [startKey, endKey] = a.endKey === b.startKey ? [a.startKey, b.endKey] : [b.startKey, a.endKey];
  return rulesFor(view.options.rules, { startKey, endKey }).length > 0;
}
