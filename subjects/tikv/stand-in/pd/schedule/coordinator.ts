import type { Clock } from "../../../../../harness/base/clock.ts";
import { errorText } from "../../../../../harness/base/errors.ts";
import type { Random } from "../../../../../harness/base/random.ts";
import type { NodeLog } from "../../node-log.ts";
import type { Cluster, Pause } from "../cluster.ts";
import { parseDuration } from "../go-text.ts";
import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import { initialSplitKeys } from "./initial-split.ts";
import { Influence } from "./influence.ts";
import { checkMerge } from "./merge-checker.ts";
import type { Plan } from "./operator.ts";
import { checkRules, leaveJointState } from "./rule-checker.ts";
import { Scatterer } from "./scatter.ts";
import type { ScheduleMetrics } from "./schedule-metrics.ts";
import { schedulersOf } from "./scheduler-set.ts";
import { newSlowMemory, nextSlowStores } from "./slow-store.ts";
import type { Step } from "./step.ts";
import { limitUses } from "./store-limits.ts";
import { View } from "./view.ts";
import { splitPlan } from "./wishes.ts";

const HOUSEKEEPING_MS = 1_000;
/** Offline stores are looked at this often (pkg/cluster, nodeStateCheckJobInterval). */
const BURY_EVERY_MS = 10_000;
/** A step that a store has not carried out is sent again after this. */
const PUSH_AFTER_MS = 2_000;
/** Somebody who asks for splits waits so long for them; it is looked so often whether they are made. */
const SPLIT_PATIENCE_MS = 20_000;
const SPLIT_LOOK_MS = 100;
/** Without it a new leader would act on a picture with holes; PD gives up waiting after this. */
const PREPARE_AT_MOST_MS = 300_000;
const PREPARED_SHARE = 0.8;

export interface CoordinatorOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: NodeLog;
  readonly metrics: ScheduleMetrics;
  readonly timeFactor: number;
  readonly initialRegions: number;
  /** Copies regions to the followers. */
  onRegions(regions: readonly Region[]): void;
}

/** Sends one step to the store that leads the region. */
export type SendStep = (region: Region, step: Step) => void;

/** Decides on operators and sends their steps, whenever something changed and once a second. Runs on the leader only. */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #streams = new Map<number, SendStep>();
  readonly #heard = new Set<number>();
  readonly #boundaries: ReadonlySet<string>;
  readonly #splitUntil = new Map<number, number>();
  readonly #scatterer = new Scatterer();
  #slow = newSlowMemory();
  #reign: AbortController | null = null;
  #beganAtMs = 0;
  #buriedAtMs = 0;
  #scheduled = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#boundaries = new Set(initialSplitKeys(options.initialRegions));
  }

  begin(): void {
    this.end();
    this.#reign = new AbortController();
    this.#beganAtMs = this.#options.clock.monotonic();
    void this.#housekeeping(this.#reign.signal);
    this.soon();
  }

  end(): void {
    this.#reign?.abort();
    this.#reign = null;
    this.#heard.clear();
    this.#streams.clear();
    this.#splitUntil.clear();
    this.#scatterer.clear();
    this.#slow = newSlowMemory();
  }

  /** Everything that regions are is to be learned again from their reports. */
  forgetPrepared(): void {
    this.#heard.clear();
    this.#beganAtMs = this.#options.clock.monotonic();
  }

  /** Looks at everything in the next turn of the loop. */
  soon(): void {
    if (this.#scheduled || this.#reign === null) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#reign !== null) this.#run();
    });
  }

  onRegionHeartbeat(region: Region, intervalMs: number, send: SendStep): void {
    if (region.leader !== null) this.#streams.set(region.leader.storeId, send);
    this.#heard.add(region.id);
    const { cluster } = this.#options;
    if (!cluster.heardRegion(region, intervalMs)) return;
    const step = cluster.operators.advance(region);
    if (step !== null) send(region, step);
    this.soon();
  }

  onStreamEnd(send: SendStep): void {
    for (const [storeId, stream] of this.#streams) if (stream === send) this.#streams.delete(storeId);
  }

  /** These were just made by a split, or were split: they are not merged for a while. */
  onSplit(regionIds: readonly number[]): void {
    const { cluster, clock, timeFactor } = this.#options;
    const until =
      clock.monotonic() + (parseDuration(String(cluster.schedule["split-merge-interval"])) ?? 0) * timeFactor;
    for (const id of regionIds) this.#splitUntil.set(id, until);
  }

  /** All or none. @returns false when a region is busy with something as important, or a store's limit is used up. */
  start(...plans: readonly Plan[]): boolean {
    const { cluster, metrics } = this.#options;
    const uses = plans.flatMap((plan) => (plan.brief.startsWith("mv light") ? [] : limitUses(plan.steps, plan.region)));
    const rate = (storeId: number, type: "add-peer" | "remove-peer") => cluster.limitOf(storeId, type);
    if (uses.some((use) => !cluster.limits.affords(use, rate(use.storeId, use.type)))) {
      for (const { desc } of plans) metrics.operators.inc({ event: "exceed-limit", type: desc });
      return false;
    }
    if (!cluster.operators.start(plans)) return false;
    for (const use of uses) cluster.limits.take(use, rate(use.storeId, use.type));
    for (const { region } of plans) this.#push(region);
    return true;
  }

  isPaused(scheduler: string): boolean {
    return this.#isIn(this.#options.cluster.paused.get(scheduler));
  }

  get halted(): boolean {
    return this.#options.cluster.schedule["halt-scheduling"] === "true";
  }

  /** Spreads regions. @returns how many failed, of how many. @throws CannotBuild when there is only one */
  scatter(regions: readonly Region[], group: string): { readonly failed: number; readonly done: number } {
    const { metrics } = this.#options;
    let failed = 0;
    for (const region of regions) {
      const plan = this.#scatterer.scatter(this.view(), region, group);
      const type = plan === null ? "unnecessary" : this.start(plan) ? "success" : "fail";
      metrics.scatter.inc({ event: "", type });
      if (type === "fail") failed++;
    }
    return { failed, done: regions.length - failed };
  }

  /** Cuts at these keys (hex). @returns the regions that begin there, once all do or it takes too long */
  async splitAt(keys: readonly string[]): Promise<readonly Region[]> {
    const { cluster, clock, timeFactor } = this.#options;
    const { regions } = cluster;
    const deadline = clock.monotonic() + SPLIT_PATIENCE_MS * timeFactor;
    const made = () => keys.flatMap((key) => regions.all().find(({ startKey }) => startKey === key) ?? []);
    while (made().length < keys.length && clock.monotonic() < deadline) {
      const open = keys.filter((key) => made().every(({ startKey }) => startKey !== key));
      for (const [region, own] of Map.groupBy(open, (key) => regions.at(key)))
        if (region !== undefined && cluster.operators.get(region.id) === undefined)
          this.start(splitPlan(region, "region-splitter", "USEKEY", own.sort(), ["admin"]));
      await clock.sleep(SPLIT_LOOK_MS * timeFactor);
    }
    return made();
  }

  /** The cluster as it is now. */
  view(): View {
    const { cluster, random } = this.#options;
    const stores = cluster.stores().filter(({ meta }) => meta.state !== 2);
    const operators = cluster.operators.all();
    return new View({
      nowMs: cluster.now(),
      random,
      regions: cluster.regions.all(),
      stores,
      schedule: cluster.schedule,
      rules: cluster.state.rules,
      influence: Influence.of(operators, cluster.regions),
      operators,
      ...this.#leaderRules(stores),
      isOpen: ({ meta }, type) => cluster.limits.isOpen(meta.id, type, cluster.limitOf(meta.id, type)),
      heat: (regionId) => cluster.heat(regionId),
      newPeerId: () => cluster.ids.tryNext(),
    });
  }

  #leaderRules(stores: readonly StoreView[]): { rejecting: ReadonlySet<number>; keeping: ReadonlySet<number> } {
    const { state } = this.#options.cluster;
    const named = (name: string) => state.storeSchedulers.find((each) => each.name === name)?.storeIds ?? [];
    const stopping = state.schedulers.includes("evict-stopping-store-scheduler") ? stoppingStores(stores) : [];
    return {
      rejecting: new Set([...named("evict-leader-scheduler"), ...state.slowStore.stores, ...stopping]),
      keeping: new Set(named("grant-leader-scheduler")),
    };
  }

  #isIn(pause: Pause | undefined): boolean {
    return pause !== undefined && this.#options.cluster.now() < pause.untilMs;
  }

  async #housekeeping(signal: AbortSignal): Promise<void> {
    const { clock, timeFactor, cluster, log } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(HOUSEKEEPING_MS * timeFactor, signal).catch(() => {});
      if (signal.aborted) return;
      cluster.operators.expire((regionId) => cluster.regions.get(regionId) !== undefined);
      this.#pushAll();
      await this.#bookkeeping().catch((error: unknown) => {
        log.warn("cluster.go:1605", "bury store failed", { error: errorText(error) });
      });
      this.soon();
    }
  }

  async #bookkeeping(): Promise<void> {
    const { clock, timeFactor, cluster } = this.#options;
    await cluster.dropTemporary();
    await this.#watchSlowStores();
    if (clock.monotonic() - this.#buriedAtMs < BURY_EVERY_MS * timeFactor) return;
    this.#buriedAtMs = clock.monotonic();
    await cluster.bury();
  }

  async #watchSlowStores(): Promise<void> {
    const { cluster, timeFactor, log } = this.#options;
    const { state } = cluster;
    const name = "evict-slow-store-scheduler";
    if (!state.schedulers.includes(name) || this.isPaused(name) || this.halted) return;
    const stores = nextSlowStores(state.slowStore, cluster.stores(), this.#slow, cluster.now(), timeFactor);
    if (stores === null) return;
    const what = stores.length > 0 ? "detected slow store, start to evict leaders" : "slow store has been recovered";
    log.info("evict_slow_store.go:560", what, { "store-id": [...stores, ...state.slowStore.stores].join() });
    await cluster.decide({ kind: "slow-store", config: { ...state.slowStore, stores } });
  }

  #push(region: Region): void {
    const { cluster } = this.#options;
    const known = cluster.regions.get(region.id);
    const step = known === undefined ? null : cluster.operators.advance(known);
    if (known !== undefined && step !== null) this.#streams.get(known.leader?.storeId ?? 0)?.(known, step);
  }

  #pushAll(): void {
    const { cluster, timeFactor } = this.#options;
    const before = cluster.now() - PUSH_AFTER_MS * timeFactor;
    for (const { pushedAtMs, regionId } of cluster.operators.all()) {
      const region = cluster.regions.get(regionId);
      if (region !== undefined && pushedAtMs <= before) this.#push(region);
    }
  }

  #run(): void {
    const { cluster } = this.#options;
    const dirty = cluster.takeDirty();
    if (dirty.length > 0) this.#options.onRegions(dirty);
    if (this.halted || cluster.recovery.isRunning || !this.#isPrepared()) return;
    if (this.#splitInitially()) return;
    this.#checkRegions();
    this.#schedule();
  }

  /** Most regions have reported to this leader, or it has waited long enough. */
  #isPrepared(): boolean {
    const { cluster, clock, timeFactor } = this.#options;
    const known = cluster.regions.all();
    if (clock.monotonic() - this.#beganAtMs > PREPARE_AT_MOST_MS * timeFactor) return true;
    const whole = known[0]?.startKey === "" && known.at(-1)?.endKey === "";
    return whole && known.filter(({ id }) => this.#heard.has(id)).length >= known.length * PREPARED_SHARE;
  }

  /** The very first region is cut up while it has one replica, which is cheap. */
  #splitInitially(): boolean {
    const { cluster, initialRegions } = this.#options;
    const only = cluster.regions.count === 1 ? cluster.regions.all()[0] : undefined;
    if (only === undefined || only.version !== 1 || initialRegions === 1) return false;
    this.start(splitPlan(only, "split-region", "USEKEY", initialSplitKeys(initialRegions), []));
    return true;
  }

  #checkRegions(): void {
    let view = this.view();
    for (const at of view.regions.keys()) {
      const region = view.regions[at] as Region;
      if (view.isBusy(region)) continue;
      const plans = this.#checkRegion(view, region, at);
      if (plans.length > 0 && this.start(...plans)) view = this.view();
    }
  }

  /** The first checker that finds something has its way. */
  #checkRegion(view: View, region: Region, at: number): readonly Plan[] {
    const { metrics, cluster } = this.#options;
    const counts = (type: string) => (name: string) => metrics.checker.inc({ name, type });
    const paused = (checker: string, type: string) => {
      const isPaused = this.#isIn(cluster.pausedCheckers.get(checker));
      if (isPaused) counts(type)("paused");
      return isPaused;
    };
    if (!paused("joint-state", "joint_state_checker")) {
      const plan = leaveJointState(view, region, counts("joint_state_checker"));
      if (plan !== null) return [plan];
    }
    if (!paused("rule", "rule_checker")) {
      const plan = checkRules(view, region, counts("rule_checker"));
      if (plan !== null) return view.room("replica", "replica-schedule-limit") > 0 ? [plan] : [];
    }
    if (paused("merge", "merge_checker") || view.room("merge", "merge-schedule-limit") <= 0) return [];
    return checkMerge(view, at, this.#mergeInput(), counts("merge_checker"));
  }

  #mergeInput() {
    const { clock, cluster, timeFactor } = this.#options;
    const now = clock.monotonic();
    const interval = (parseDuration(String(cluster.schedule["split-merge-interval"])) ?? 0) * timeFactor;
    return {
      recentlyStarted: now - this.#beganAtMs < interval,
      wasSplitRecently: (id: number) => now < (this.#splitUntil.get(id) ?? 0),
      boundaries: this.#boundaries,
    };
  }

  #schedule(): void {
    const { cluster, metrics } = this.#options;
    const stopping = stoppingStores(cluster.stores());
    for (const { name, limit, propose } of schedulersOf(cluster, stopping)) {
      if (this.isPaused(name)) continue;
      const view = this.view();
      let room = view.room(limit.kind, limit.item);
      metrics.scheduler.inc({ name: "schedule", type: name });
      if (room <= 0) continue;
      for (const plan of propose(view)) {
        if (room-- <= 0) break;
        if (this.start(plan)) metrics.scheduler.inc({ name: "new-operator", type: name });
      }
    }
  }
}

function stoppingStores(stores: readonly StoreView[]): number[] {
  return stores.filter(({ stats }) => stats?.isStopping === true).map(({ meta }) => meta.id);
}
