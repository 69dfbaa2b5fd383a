import type { Cluster } from "../cluster.ts";
import { rulesFor } from "../placement/rule.ts";
import type { Region } from "../regions.ts";
import { ROLE } from "../schedule/step.ts";

/** MiB; an empty region is reported as at most this big. */
export const EMPTY_MIB = 1;
/** MiB: region-max-size of a store (1.5 times the split size of 256). */
const OVERSIZED_MIB = 384;

/** What each class of `/regions/check` and of `pd_regions_status` counts. */
export const CHECKS: Readonly<Record<string, (region: Region, cluster: Cluster) => boolean>> = {
  "miss-peer": (region, cluster) => region.peers.length < wantedPeers(region, cluster),
  "extra-peer": (region, cluster) => region.peers.length > wantedPeers(region, cluster),
  "down-peer": ({ downPeers }) => downPeers.length > 0,
  "pending-peer": ({ pendingPeers }) => pendingPeers.length > 0,
  "offline-peer": ({ peers }, { state }) =>
    peers.some(({ storeId }) => state.stores.some((store) => store.id === storeId && store.nodeState === 2)),
  "learner-peer": ({ peers }) => peers.some(({ role }) => role === ROLE.learner),
  "empty-region": ({ approximateSize }) => approximateSize <= EMPTY_MIB,
  "oversized-region": ({ approximateSize }) => approximateSize > OVERSIZED_MIB,
  "undersized-region": ({ approximateSize, approximateKeys }, { schedule }) =>
    approximateSize < Number(schedule["max-merge-region-size"]) &&
    approximateKeys < Number(schedule["max-merge-region-keys"]),
};

function wantedPeers(region: Region, { state }: Cluster): number {
  if (state.replication["enable-placement-rules"] !== "true") return Number(state.replication["max-replicas"]);
  return rulesFor(state.rules, region).reduce((sum, { count }) => sum + count, 0);
}
