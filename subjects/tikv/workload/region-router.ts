import { CallError } from "./grpc-call.ts";
import { withSignal, type PdClient } from "./pd-client.ts";
import { RegionCache, type CachedRegion } from "./region-cache.ts";
import type { StoreLinks } from "./store-links.ts";
import type { Peer, RegionError, RegionMeta } from "./wire.ts";

/** Which peer to ask for a key: PD's word once, then what the stores' own answers teach. */
export class RegionRouter {
  readonly #pd: Pick<PdClient, "region">;
  readonly #links: Pick<StoreLinks, "isSuspect">;
  readonly #cache = new RegionCache();
  readonly #refreshing = new Set<string>();
  readonly #closed: AbortSignal;
  #lookup: Promise<unknown> | null = null;

  constructor(pd: Pick<PdClient, "region">, links: Pick<StoreLinks, "isSuspect">, closed: AbortSignal) {
    this.#pd = pd;
    this.#links = links;
    this.#closed = closed;
  }

  /** From the cache, else from PD; one question to PD at a time, because one answer often serves all who wait. */
  async locate(key: Buffer, signal: AbortSignal): Promise<CachedRegion> {
    for (;;) {
      const known = this.#cache.find(key);
      if (known !== null) return known;
      this.#lookup ??= this.#learn(key).finally(() => (this.#lookup = null));
      await withSignal(this.#lookup, signal);
    }
  }

  /** The peer to ask now, or null when every store that has one is suspect. */
  peerFor(region: CachedRegion): Peer | null {
    if (!this.#links.isSuspect(region.leader.store_id)) return region.leader;
    this.tryNextPeer(region);
    return this.#links.isSuspect(region.leader.store_id) ? null : region.leader;
  }

  /** The peer that was asked did not lead and named nobody: guess the next one whose store is not suspect. */
  tryNextPeer(region: CachedRegion): void {
    const { peers } = region.meta;
    const current = peers.findIndex((peer) => peer.id === region.leader.id);
    for (let step = 1; step <= peers.length; step++) {
      const candidate = peers[(current + step + peers.length) % peers.length];
      if (candidate !== undefined && !this.#links.isSuspect(candidate.store_id)) {
        region.leader = candidate;
        return;
      }
    }
  }

  /** True when the new leader can be asked at once. */
  followLeader(region: CachedRegion, leader: Peer | null): boolean {
    const known = leader === null ? undefined : region.meta.peers.find((peer) => peer.id === leader.id);
    if (known === undefined || this.#links.isSuspect(known.store_id)) {
      this.tryNextPeer(region);
      return false;
    }
    region.leader = known;
    return true;
  }

  /** Takes the regions that a store says there are now; they are led by whom we asked until somebody says otherwise. */
  adopt(region: CachedRegion, error: NonNullable<RegionError["epoch_not_match"]>): boolean {
    this.#cache.drop(region);
    for (const meta of error.current_regions) {
      const sameStore = meta.peers.find((peer) => peer.store_id === region.leader.store_id) ?? null;
      this.#cache.put(meta, sameStore);
    }
    return error.current_regions.length > 0;
  }

  drop(region: CachedRegion): void {
    this.#cache.drop(region);
  }

  /** Asks PD again in the background: a leader elected elsewhere is news to peers that were cut off, not to PD. */
  refresh(region: CachedRegion): void {
    const { id } = region.meta;
    if (this.#refreshing.has(id)) return;
    this.#refreshing.add(id);
    this.#pd
      .region(region.meta.start_key, this.#closed)
      .then(({ region: meta, leader }) => this.#merge(region, meta, leader))
      .catch(() => {})
      .finally(() => this.#refreshing.delete(id));
  }

  #merge(old: CachedRegion, meta: RegionMeta, leader: Peer | null): void {
    if (isSame(old.meta, meta)) {
      if (leader !== null && !this.#links.isSuspect(leader.store_id)) this.followLeader(old, leader);
    } else if (isNewer(meta, old.meta)) {
      this.#cache.put(meta, leader);
    }
  }

  async #learn(key: Buffer): Promise<void> {
    const { region, leader } = await this.#pd.region(key, this.#closed);
    if (this.#cache.put(region, leader) === null) throw new CallError("no_region", `region ${region.id} has no peers`);
  }
}

function isSame(a: RegionMeta, b: RegionMeta): boolean {
  return (
    a.id === b.id &&
    a.region_epoch?.conf_ver === b.region_epoch?.conf_ver &&
    a.region_epoch?.version === b.region_epoch?.version
  );
}

function isNewer(a: RegionMeta, b: RegionMeta): boolean {
  const [confA, versionA] = [BigInt(a.region_epoch?.conf_ver ?? 0), BigInt(a.region_epoch?.version ?? 0)];
  const [confB, versionB] = [BigInt(b.region_epoch?.conf_ver ?? 0), BigInt(b.region_epoch?.version ?? 0)];
  return confA >= confB && versionA >= versionB;
}
