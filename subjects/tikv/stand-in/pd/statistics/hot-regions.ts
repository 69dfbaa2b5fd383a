import type { Region } from "../regions.ts";

export type Flow = "write" | "read";
export const FLOWS = ["write", "read"] as const;

export interface Rates {
  /** Per second. */
  readonly bytes: number;
  readonly keys: number;
  readonly query: number;
}

/** Counts over an interval. */
export interface RegionReads extends Rates {
  readonly regionId: number;
}

export interface HotRegion extends Rates {
  readonly regionId: number;
  /** Grows with every report above the threshold, falls with every one below it. */
  readonly degree: number;
  readonly antiCount: number;
  readonly updatedAtMs: number;
}

/** From these on a region counts as warm (tikv/pd:pkg/statistics/hot_peer_cache.go, minimum thresholds). */
export const HOT_THRESHOLDS: Readonly<Record<Flow, Rates>> = {
  write: { bytes: 1_024, keys: 32, query: 32 },
  read: { bytes: 8 * 1_024, keys: 128, query: 128 },
};
/** An entry that has cooled down stays this many reports longer. */
const ANTI_COUNT = 1;

/** Which regions are written and read much, by what their leaders report. In memory of PD's leader. */
export class HotRegions {
  readonly #hot: Readonly<Record<Flow, Map<number, HotRegion>>> = { write: new Map(), read: new Map() };
  readonly #reportedAt = new Map<number, number>();

  /**
   * What a region's leader reports of writes.
   *
   * @param intervalMs what the figures cover, as the store says; 0 = since the last report.
   */
  reportWrites(region: Region, intervalMs: number, nowMs: number): void {
    const covered = intervalMs > 0 ? intervalMs : nowMs - (this.#reportedAt.get(region.id) ?? nowMs);
    this.#reportedAt.set(region.id, nowMs);
    // A report made because something changed covers too little to tell.
    if (covered < 1) return;
    const { writtenBytes: bytes, writtenKeys: keys, writtenQueries: query } = region;
    this.#update("write", region.id, perSecond({ bytes, keys, query }, covered), nowMs);
  }

  /** What a store reports of reads: those regions that are read much; those that it leads and does not name cool down. */
  reportReads(reads: readonly RegionReads[], led: readonly number[], intervalMs: number, nowMs: number): void {
    if (intervalMs < 1) return;
    for (const { regionId, ...counts } of reads) this.#update("read", regionId, perSecond(counts, intervalMs), nowMs);
    const named = new Set(reads.map(({ regionId }) => regionId));
    for (const id of led)
      if (!named.has(id) && this.#hot.read.has(id)) this.#update("read", id, { bytes: 0, keys: 0, query: 0 }, nowMs);
  }

  clear(): void {
    for (const flow of FLOWS) this.#hot[flow].clear();
    this.#reportedAt.clear();
  }

  /** Those that have been hot for at least so many reports. */
  hot(flow: Flow, minDegree: number): HotRegion[] {
    return [...this.#hot[flow].values()].filter(({ degree }) => degree >= minDegree);
  }

  get(flow: Flow, regionId: number): HotRegion | undefined {
    return this.#hot[flow].get(regionId);
  }

  #update(flow: Flow, regionId: number, rates: Rates, nowMs: number): void {
    const least = HOT_THRESHOLDS[flow];
    const isWarm = rates.bytes >= least.bytes || rates.keys >= least.keys || rates.query >= least.query;
    const before = this.#hot[flow].get(regionId);
    if (!isWarm && before === undefined) return;
    const degree = (before?.degree ?? 0) + (isWarm ? 1 : -1);
    const antiCount = isWarm ? ANTI_COUNT : (before?.antiCount ?? 0) - 1;
    if (degree <= 0 || antiCount < -ANTI_COUNT) this.#hot[flow].delete(regionId);
    else
      this.#hot[flow].set(regionId, {
        ...rates,
        regionId,
        degree,
        antiCount: Math.max(0, antiCount),
        updatedAtMs: nowMs,
      });
  }
}

function perSecond({ bytes, keys, query }: Rates, coveredMs: number): Rates {
  const rate = (count: number) => (count * 1_000) / coveredMs;
  return { bytes: rate(bytes), keys: rate(keys), query: rate(query) };
}
