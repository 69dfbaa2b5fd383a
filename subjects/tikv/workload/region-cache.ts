import type { Peer, RegionMeta } from "./wire.ts";

/** One region as this client believes it to be. `leader` is a guess that answers correct. */
export interface CachedRegion {
  readonly meta: RegionMeta;
  leader: Peer;
}

/** Regions by key range; a newcomer replaces everything that it overlaps. Small clusters: a sorted list will do. */
export class RegionCache {
  #regions: CachedRegion[] = [];

  find(key: Buffer): CachedRegion | null {
    let low = 0;
    let high = this.#regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare((this.#regions[middle] as CachedRegion).meta.start_key, key) <= 0) low = middle + 1;
      else high = middle;
    }
    const candidate = this.#regions[low - 1];
    return candidate !== undefined && contains(candidate.meta, key) ? candidate : null;
  }

  /** Without a known leader the first peer is the first guess. A region without peers cannot be asked and is left out. */
  put(meta: RegionMeta, leader: Peer | null): CachedRegion | null {
    const guess = leader ?? meta.peers[0];
    if (guess === undefined) return null;
    const region: CachedRegion = { meta, leader: guess };
    this.#regions = this.#regions.filter((other) => !overlaps(other.meta, meta));
    this.#regions.push(region);
    this.#regions.sort((a, b) => Buffer.compare(a.meta.start_key, b.meta.start_key));
    return region;
  }

  drop(region: CachedRegion): void {
    this.#regions = this.#regions.filter((other) => other !== region);
  }
}

export function contains({ start_key, end_key }: RegionMeta, key: Buffer): boolean {
  return Buffer.compare(start_key, key) <= 0 && (end_key.length === 0 || Buffer.compare(key, end_key) < 0);
}

function overlaps(a: RegionMeta, b: RegionMeta): boolean {
  const aBeforeB = a.end_key.length > 0 && Buffer.compare(a.end_key, b.start_key) <= 0;
  const bBeforeA = b.end_key.length > 0 && Buffer.compare(b.end_key, a.start_key) <= 0;
  return !aBeforeB && !bBeforeA;
}
