import type { ConfigSection } from "../default-config.ts";
import type { StoreView } from "../stores.ts";

const GIB = 2 ** 30;
/** A weight of 0 pushes everything away without dividing by it. */
const MIN_WEIGHT = 1e-6;
/** With fewer regions than this in the cluster a store with more than 8 GiB free is never low on space. */
const FEW_REGIONS = 100;
const PLENTY_BYTES = 8 * GIB;

/** tikv/pd:pkg/core/store.go, LeaderScore by count. */
export function leaderScore({ leaderCount, meta }: StoreView, delta = 0): number {
  return (leaderCount + delta) / Math.max(meta.leaderWeight, MIN_WEIGHT);
}

/**
 * Formula v2 (tikv/pd:pkg/core/store.go, regionScoreV2): the size, weighed by how much of the disk is used, and as space
 * runs out by that alone. `delta` in MiB.
 */
export function regionScore({ stats, meta, ...store }: StoreView, lowSpaceRatio: number, delta = 0): number {
  const capacity = (stats?.capacity ?? 0) / GIB;
  const available = (stats?.available ?? 0) / GIB;
  const regionSize = store.regionSize + store.emptyCount;
  const size = regionSize + delta < 0 ? regionSize : regionSize + delta;
  return sizeScore(size, capacity, available, lowSpaceRatio) / Math.max(meta.regionWeight, MIN_WEIGHT);
}

function sizeScore(size: number, capacity: number, available: number, lowSpaceRatio: number): number {
  const reserve = Math.max(50, capacity * (1 - lowSpaceRatio));
  if (available >= capacity || capacity < 1) return size;
  if (available > reserve)
    return (
      (1 + (256 * (Math.log(capacity) - Math.log(available - reserve + 1))) / (capacity - available + reserve - 1)) *
      size
    );
  return (1 + (256 * Math.log(capacity)) / capacity) * size + (1e7 * (reserve - available)) / reserve;
}

export function isLowOnSpace({ stats }: StoreView, schedule: ConfigSection, regionCount: number): boolean {
  if (stats === null || stats.capacity === 0) return false;
  if (regionCount < FEW_REGIONS && stats.available > PLENTY_BYTES) return false;
  return stats.available < stats.capacity * (1 - Number(schedule["low-space-ratio"]));
}
