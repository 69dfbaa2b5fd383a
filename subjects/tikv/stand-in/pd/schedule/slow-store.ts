import type { SlowStoreConfig } from "../state.ts";
import type { StoreView } from "../stores.ts";

const SLOW = 80;
const EVICT = 100;
const RECOVERED = 1;

/** What a leader remembers besides; lost when it changes. */
export interface SlowMemory {
  /** When the store was caught, or when it last became well or sick again. */
  sinceMs: number;
  isWell: boolean;
}

export function newSlowMemory(): SlowMemory {
  return { sinceMs: 0, isWell: false };
}

/**
 * Which stores' leaders are to go because their disk is slow: only when exactly one is slow, for two at once would mean
 * that something else is; until it has been well for `recoverySec` (tikv/pd:pkg/schedule/schedulers/evict_slow_store.go).
 *
 * @returns the stores from now on, or null when nothing changes
 */
export function nextSlowStores(
  { stores: evicted, recoverySec }: SlowStoreConfig,
  stores: readonly StoreView[],
  memory: SlowMemory,
  nowMs: number,
  timeFactor: number,
): readonly number[] | null {
  const [caught] = evicted;
  if (caught !== undefined) {
    const store = stores.find(({ meta }) => meta.id === caught);
    if (store === undefined || store.meta.state === 2) return [];
    const isWell = (store.stats?.slowScore ?? 0) <= RECOVERED;
    if (isWell !== memory.isWell || memory.sinceMs === 0) Object.assign(memory, { isWell, sinceMs: nowMs });
    return isWell && nowMs - memory.sinceMs >= recoverySec * 1_000 * timeFactor ? [] : null;
  }
  const slow = stores.filter(({ meta, stats }) => meta.state === 0 && (stats?.slowScore ?? 0) >= SLOW);
  const [only] = slow;
  if (slow.length !== 1 || only === undefined || (only.stats?.slowScore ?? 0) < EVICT) return null;
  Object.assign(memory, { isWell: false, sinceMs: nowMs });
  return [only.meta.id];
}
