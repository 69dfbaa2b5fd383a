import type { Random } from "../../../../../harness/base/random.ts";
import type { ConfigSection } from "../default-config.ts";
import { fitRegion, isSatisfied, type RegionFit } from "../placement/region-fit.ts";
import { rulesFor, type Rule } from "../placement/rule.ts";
import type { Peer, Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import type { Influence } from "./influence.ts";
import type { Operator, OperatorKind } from "./operator.ts";
import { countedAs } from "./operator.ts";
import { ROLE } from "./step.ts";
import type { LimitType } from "./store-limits.ts";
import { isLowOnSpace } from "./store-score.ts";

export interface ViewOptions {
  readonly nowMs: number;
  readonly random: Random;
  readonly regions: readonly Region[];
  readonly stores: readonly StoreView[];
  readonly schedule: ConfigSection;
  readonly rules: readonly Rule[];
  readonly influence: Influence;
  readonly operators: readonly Operator[];
  /** Stores that take no leaders, because something keeps them off. */
  readonly rejecting: ReadonlySet<number>;
  /** Stores that give no leaders away. */
  readonly keeping: ReadonlySet<number>;
  isOpen(store: StoreView, type: LimitType): boolean;
  /** Bytes a second of a hot region, 0 of any other. */
  heat(regionId: number): number;
  /** Null when no id is at hand: then nothing is added this time. */
  newPeerId(): number | null;
}

/** The cluster as one round of scheduling sees it, and what may be done with whom. Nothing in it changes but influence. */
export class View {
  readonly options: ViewOptions;
  readonly byId: ReadonlyMap<number, StoreView>;
  readonly #busy: ReadonlySet<number>;

  constructor(options: ViewOptions) {
    this.options = options;
    this.byId = new Map(options.stores.map((store) => [store.meta.id, store]));
    this.#busy = new Set(options.operators.map(({ regionId }) => regionId));
  }

  get stores(): readonly StoreView[] {
    return this.options.stores;
  }
  get regions(): readonly Region[] {
    return this.options.regions;
  }
  get influence(): Influence {
    return this.options.influence;
  }
  get random(): Random {
    return this.options.random;
  }

  isBusy({ id }: Region): boolean {
    return this.#busy.has(id);
  }

  number(item: string): number {
    return Number(this.options.schedule[item]);
  }
  is(item: string): boolean {
    return this.options.schedule[item] === "true";
  }

  /** How many more operators of a kind may be under way. */
  room(kind: OperatorKind, limit: string): number {
    return this.number(limit) - this.options.operators.filter((each) => countedAs(each) === kind).length;
  }

  fit(region: Region): RegionFit {
    return fitRegion(region, rulesFor(this.options.rules, region), this.byId);
  }

  isReplicated(region: Region): boolean {
    const { fits, orphans } = this.fit(region);
    return fits.length > 0 && orphans.length === 0 && fits.every(isSatisfied);
  }

  isHealthy(region: Region): boolean {
    return region.downPeers.length === 0 && region.pendingPeers.length === 0 && region.peers.every(isVoter);
  }

  // What follows are PD's conditions (tikv/pd:pkg/schedule/filter/filters.go, StoreStateFilter).

  canTakeLeader(store: StoreView): boolean {
    return store.stateName === "Up" && store.stats?.isBusy !== true && !this.options.rejecting.has(store.meta.id);
  }

  canGiveLeader({ stateName, meta }: StoreView): boolean {
    return (stateName === "Up" || stateName === "Offline") && !this.options.keeping.has(meta.id);
  }

  /** `patient`: as it is in the long run, whatever it is busy with now. */
  canTakeRegion(store: StoreView, patient = false): boolean {
    const { stateName, stats, pendingPeerCount } = store;
    if (patient) return stateName === "Up" || stateName === "Disconnected";
    const most = this.number("max-pending-peer-count");
    return (
      stateName === "Up" &&
      stats?.isBusy !== true &&
      !this.#tooManySnapshots(store) &&
      (most === 0 || pendingPeerCount <= most) &&
      this.options.isOpen(store, "add-peer")
    );
  }

  canGiveRegion(store: StoreView): boolean {
    return store.stats?.isBusy !== true && !this.#tooManySnapshots(store) && this.options.isOpen(store, "remove-peer");
  }

  isLowOnSpace(store: StoreView): boolean {
    return isLowOnSpace(store, this.options.schedule, this.regions.length);
  }

  /** Whether this peer could lead its region now. */
  canLead(region: Region, { id, storeId, role }: Peer): boolean {
    const store = this.byId.get(storeId);
    return (
      store !== undefined &&
      (role === ROLE.voter || role === ROLE.incomingVoter) &&
      region.pendingPeers.every((peer) => peer.id !== id) &&
      region.downPeers.every(({ peer }) => peer.id !== id) &&
      (storeId === region.leader?.storeId || this.canTakeLeader(store))
    );
  }

  #tooManySnapshots({ stats }: StoreView): boolean {
    const most = this.number("max-snapshot-count");
    return (stats?.sendingSnapCount ?? 0) > most || (stats?.receivingSnapCount ?? 0) > most;
  }
}

export function isVoter({ role }: Peer): boolean {
  return role === ROLE.voter;
}
