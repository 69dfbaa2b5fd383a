import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { Consensus } from "./consensus.ts";
import type { ConfigSection } from "./default-config.ts";
import { IdAllocator } from "./id-allocator.ts";
import { PdRefusal } from "./pd-refusal.ts";
import { RemovingProgress } from "./progress.ts";
import type { Region, Regions } from "./regions.ts";
import { Operators } from "./schedule/operators.ts";
import type { ScheduleMetrics } from "./schedule/schedule-metrics.ts";
import { StoreLimits, type LimitType } from "./schedule/store-limits.ts";
import { FLOWS, HotRegions } from "./statistics/hot-regions.ts";
import { PERSIST_HEARTBEAT_MS, viewStores, type HeardStore, type StoreStats, type StoreView } from "./stores.ts";
import type { ClusterState, Command, StoreMeta } from "./state.ts";
import { effectiveSchedule, expiredItems, temporaryLimit } from "./temporary-config.ts";
import { Tso } from "./tso.ts";
import { UnsafeRecovery } from "./unsafe/unsafe-recovery.ts";

export interface ClusterOptions {
  readonly consensus: Consensus;
  readonly regions: Regions;
  readonly clock: Clock;
  readonly timeFactor: number;
  readonly log: NodeLog;
  readonly metrics: ScheduleMetrics;
  /** Something happened that scheduling may want to act on. */
  onChange(): void;
  /** All that regions report is to be learned again. */
  onForgotten(): void;
}

export interface Pause {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * What PD's leader works with: the agreed state, and in memory what stores and regions have reported. On followers the
 * regions are a copy that the leader keeps up to date, so that a new leader can route at once.
 */
export class Cluster {
  readonly regions: Regions;
  readonly operators: Operators;
  readonly limits: StoreLimits;
  readonly hot = new HotRegions();
  readonly removing: RemovingProgress;
  readonly recovery: UnsafeRecovery;
  readonly ids: IdAllocator;
  readonly tso: Tso;
  /** By scheduler; in memory only: a leader change ends every pause. */
  readonly paused = new Map<string, Pause>();
  readonly pausedCheckers = new Map<string, Pause>();
  readonly #options: ClusterOptions;
  readonly #heard = new Map<number, HeardStore>();
  /** Regions that changed since the last copy went to the followers. */
  readonly #dirty = new Set<number>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.regions = options.regions;
    const { clock, timeFactor, log, metrics } = options;
    const isDown = (storeId: number) => this.#isDown(storeId);
    this.operators = new Operators({ clock, timeFactor, log, metrics, isDown });
    this.limits = new StoreLimits(clock, timeFactor);
    this.removing = new RemovingProgress(timeFactor);
    this.recovery = new UnsafeRecovery({
      clock,
      timeFactor,
      log,
      stores: () => this.stores(),
      buryStore: (id) => this.#bury(this.store(id).meta),
      newId: () => this.ids.next(),
      forgetRegions: () => this.#forgetRegions(),
    });
    this.ids = new IdAllocator((upTo) => this.decide({ kind: "ids", upTo }));
    this.tso = new Tso(options.clock, (upTo) => this.decide({ kind: "tso", upTo }));
  }

  get state(): ClusterState {
    return this.#options.consensus.state;
  }
  get bootstrapped(): boolean {
    return this.state.bootstrappedAtMs !== null;
  }
  get timeFactor(): number {
    return this.#options.timeFactor;
  }
  /** What counts now: the agreed settings under those that are set for a while. */
  get schedule(): ConfigSection {
    return effectiveSchedule(this.state, this.now());
  }

  /** Regions a minute. */
  limitOf(storeId: number, type: LimitType): number {
    const own = this.state.stores.find(({ id }) => id === storeId)?.limit[type] ?? 0;
    return temporaryLimit(this.state, storeId, type, this.now()) ?? own;
  }

  /** Bytes a second of a region that has been hot for long enough, else 0. */
  heat(regionId: number): number {
    const degree = Number(this.schedule["hot-region-cache-hits-threshold"]);
    return FLOWS.reduce((sum, flow) => {
      const hot = this.hot.get(flow, regionId);
      return sum + (hot !== undefined && hot.degree >= degree ? hot.bytes : 0);
    }, 0);
  }
  now(): number {
    return this.#options.clock.now();
  }

  /** @throws NotDecidedError */
  decide(command: Command): Promise<void> {
    return this.#options.consensus.propose(command);
  }

  async begin(): Promise<void> {
    this.end();
    await Promise.all([this.tso.begin(this.state.tsoUpTo), this.ids.begin(this.state.idsUpTo)]);
  }

  end(): void {
    this.#heard.clear();
    this.operators.clear();
    this.limits.clear();
    this.hot.clear();
    this.removing.clear();
    this.recovery.clear();
    this.paused.clear();
    this.pausedCheckers.clear();
  }

  /** Tombstones too. */
  stores(): StoreView[] {
    return viewStores(this.state, this.#heard, this.regions.all(), this.now(), this.timeFactor);
  }

  /** @throws PdRefusal 404 */
  store(id: number): StoreView {
    const store = this.stores().find(({ meta }) => meta.id === id);
    if (store === undefined) throw storeNotFound(id);
    return store;
  }

  async heardStore(storeId: number, stats: StoreStats): Promise<StoreMeta> {
    const { log } = this.#options;
    const { meta, stateName } = this.store(storeId);
    if (stateName === "Disconnected" || stateName === "Down")
      log.info("cluster.go:1089", "store is back", { "store-id": storeId, "store-address": meta.address });
    const atMs = this.now();
    const isFirst = !this.#heard.has(storeId);
    this.#heard.set(storeId, { atMs, stats });
    if (isFirst || stateName !== "Up") this.#options.onChange();
    const led = this.regions.all().filter(({ leader }) => leader?.storeId === storeId);
    const ids = led.map(({ id }) => id);
    this.hot.reportReads(stats.reads, ids, stats.intervalMs, atMs);
    if (atMs - meta.lastHeartbeatMs > PERSIST_HEARTBEAT_MS * this.timeFactor)
      await this.decide({ kind: "put-store", store: { ...meta, lastHeartbeatMs: atMs } });
    return meta;
  }

  /** @param intervalMs what its flows cover; 0 = not told. */
  heardRegion(region: Region, intervalMs: number): boolean {
    const taken = this.regions.put(region);
    if (!taken) return false;
    this.#dirty.add(region.id);
    this.hot.reportWrites(region, intervalMs, this.now());
    return true;
  }

  /** What followers have not been told yet. */
  takeDirty(): Region[] {
    const regions = [...this.#dirty].flatMap((id) => this.regions.get(id) ?? []);
    this.#dirty.clear();
    return regions;
  }

  changed(): void {
    this.#options.onChange();
  }

  /** @throws PdRefusal 404, 400 when too few stores would be left, 410. */
  async setStoreState(id: number, wanted: "Up" | "Offline", force: boolean): Promise<void> {
    const { meta } = this.store(id);
    if (meta.state === 2) throw new PdRefusal(410, `[PD:core:ErrStoreRemoved]The store ${id} has been removed`);
    if (wanted === "Up") return this.#storeUp(meta);
    if (!force) this.#refuseTooFew(meta);
    if (meta.state === 1 && !force) return;
    const log = { "store-id": id, "store-address": meta.address, "physically-destroyed": force };
    this.#options.log.warn("cluster.go:1454", "store has been offline", log);
    const destroyed = meta.physicallyDestroyed || force;
    await this.decide({
      kind: "put-store",
      store: { ...meta, state: 1, nodeState: 2, physicallyDestroyed: destroyed },
    });
    this.removing.sample(this.stores(), this.now());
    this.changed();
  }

  async #storeUp(meta: StoreMeta): Promise<void> {
    if (meta.physicallyDestroyed)
      throw new PdRefusal(400, `[PD:core:ErrStoreDestroyed]store ${meta.id} has been physically destroyed`);
    if (meta.state === 0) return;
    this.#options.log.warn("cluster.go:1640", "store has been up", {
      "store-id": meta.id,
      "store-address": meta.address,
    });
    await this.decide({ kind: "put-store", store: { ...meta, state: 0, nodeState: 1 } });
    this.removing.sample(this.stores(), this.now());
    this.changed();
  }

  #refuseTooFew(meta: StoreMeta): void {
    const need = Number(this.state.replication["max-replicas"]);
    const left = this.state.stores.filter(({ id, state }) => state === 0 && id !== meta.id).length;
    if (meta.state === 0 && left < need)
      throw new PdRefusal(
        400,
        `[PD:core:ErrStoresNotEnough]can not remove store ${meta.id} since the number of up stores would be ${left} while need ${need}`,
      );
  }

  /** An Offline store without regions is done with. */
  async bury(): Promise<void> {
    const stores = this.stores();
    this.removing.sample(stores, this.now());
    for (const { meta, regionCount } of stores) if (meta.state === 1 && regionCount === 0) await this.#bury(meta);
  }

  async #bury(meta: StoreMeta): Promise<void> {
    this.#options.log.warn("cluster.go:1600", "store has been Tombstone", {
      "store-id": meta.id,
      "store-address": meta.address,
    });
    await this.decide({ kind: "put-store", store: { ...meta, state: 2, nodeState: 3 } });
  }

  /** Settings whose time is over. */
  async dropTemporary(): Promise<void> {
    const items = expiredItems(this.state, this.now());
    if (Object.keys(items).length > 0) await this.decide({ kind: "temporary", items });
  }

  #isDown(storeId: number): boolean {
    const store = this.stores().find(({ meta }) => meta.id === storeId);
    return store === undefined || store.stateName === "Down" || store.stateName === "Tombstone";
  }

  #forgetRegions(): void {
    this.regions.clear();
    this.operators.clear();
    this.#dirty.clear();
    this.#options.onForgotten();
  }
}

export function storeNotFound(id: number): PdRefusal {
  return new PdRefusal(404, `[PD:core:ErrStoreNotFound]store ${id} not found`);
}
