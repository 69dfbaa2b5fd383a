import type { Clock } from "../../../../harness/base/clock.ts";
import type { NodeLog } from "../node-log.ts";
import type { Consensus } from "./consensus.ts";
import { IdAllocator } from "./id-allocator.ts";
import type { Region, Regions } from "./regions.ts";
import { Operators } from "./schedule/operators.ts";
import { PERSIST_HEARTBEAT_MS, viewStores, type HeardStore, type StoreStats, type StoreView } from "./stores.ts";
import type { ClusterState, Command, StoreMeta } from "./state.ts";
import { Tso } from "./tso.ts";

/** A refusal with the text and status that PD answers. */
export class PdRefusal extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(typeof body === "string" ? body : JSON.stringify(body));
    this.status = status;
    this.body = body;
  }
}

export interface ClusterOptions {
  readonly consensus: Consensus;
  readonly regions: Regions;
  readonly clock: Clock;
  readonly timeFactor: number;
  readonly log: NodeLog;
  /** Something happened that scheduling may want to act on. */
  onChange(): void;
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
    this.operators = new Operators(options.clock, options.timeFactor);
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
    if (atMs - meta.lastHeartbeatMs > PERSIST_HEARTBEAT_MS * this.timeFactor)
      await this.decide({ kind: "put-store", store: { ...meta, lastHeartbeatMs: atMs } });
    return meta;
  }

  heardRegion(region: Region): boolean {
    const taken = this.regions.put(region);
    if (taken) this.#dirty.add(region.id);
    return taken;
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
    for (const { meta, regionCount } of this.stores()) {
      if (meta.state !== 1 || regionCount > 0) continue;
      this.#options.log.warn("cluster.go:1600", "store has been Tombstone", {
        "store-id": meta.id,
        "store-address": meta.address,
      });
      await this.decide({ kind: "put-store", store: { ...meta, state: 2, nodeState: 3 } });
    }
  }
}

export function storeNotFound(id: number): PdRefusal {
  return new PdRefusal(404, `[PD:core:ErrStoreNotFound]store ${id} not found`);
}
