import type { Clock } from "../../../../../harness/base/clock.ts";
import { errorText } from "../../../../../harness/base/errors.ts";
import type { NodeLog } from "../../node-log.ts";
import type { Cluster, Pause } from "../cluster.ts";
import type { Region } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import { initialSplitKeys } from "./initial-split.ts";
import { balanceLeaders, evictLeaders, grantLeaders, type LeaderInput, type LeaderMove } from "./leader-schedulers.ts";
import type { Plan, Step } from "./operator.ts";
import { checkRegion } from "./region-checker.ts";

const HOUSEKEEPING_MS = 1_000;
/** Without it a new leader would act on a picture with holes; PD gives up waiting after this. */
const PREPARE_AT_MOST_MS = 300_000;
const PREPARED_SHARE = 0.8;

export interface CoordinatorOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: NodeLog;
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
  #reign: AbortController | null = null;
  #beganAtMs = 0;
  #scheduled = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
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

  onRegionHeartbeat(region: Region, send: SendStep): void {
    if (region.leader !== null) this.#streams.set(region.leader.storeId, send);
    this.#heard.add(region.id);
    const { cluster } = this.#options;
    if (!cluster.heardRegion(region)) return;
    const step = cluster.operators.advance(region);
    if (step !== null) send(region, step);
    this.soon();
  }

  onStreamEnd(send: SendStep): void {
    for (const [storeId, stream] of this.#streams) if (stream === send) this.#streams.delete(storeId);
  }

  /** @returns false when the region is busy already. */
  start(region: Region, plan: Plan): boolean {
    if (plan.steps.length === 0) return false;
    const step = this.#options.cluster.operators.start(region, plan);
    if (step === null) return false;
    const fields = { "region-id": region.id, operator: plan.desc };
    this.#options.log.info("operator_controller.go:593", "add operator", fields);
    this.#streams.get(region.leader?.storeId ?? 0)?.(region, step);
    return true;
  }

  isPaused(scheduler: string): boolean {
    return this.#isIn(this.#options.cluster.paused.get(scheduler));
  }

  get halted(): boolean {
    return this.#options.cluster.state.schedule["halt-scheduling"] === "true";
  }

  #isIn(pause: Pause | undefined): boolean {
    return pause !== undefined && this.#options.cluster.now() < pause.untilMs;
  }

  async #housekeeping(signal: AbortSignal): Promise<void> {
    const { clock, timeFactor, cluster, log } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(HOUSEKEEPING_MS * timeFactor, signal).catch(() => {});
      if (signal.aborted) return;
      cluster.operators.expire();
      await cluster.bury().catch((error: unknown) => {
        log.warn("cluster.go:1605", "bury store failed", { error: errorText(error) });
      });
      this.soon();
    }
  }

  #run(): void {
    const { cluster } = this.#options;
    const dirty = cluster.takeDirty();
    if (dirty.length > 0) this.#options.onRegions(dirty);
    if (this.halted || !this.#isPrepared()) return;
    if (this.#splitInitially()) return;
    const stores = cluster.stores();
    this.#checkRegions(stores);
    this.#moveLeaders(stores.filter(({ meta }) => meta.state !== 2));
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
    const keys = initialSplitKeys(initialRegions);
    this.start(only, { desc: "split-region", kinds: ["split"], steps: [{ kind: "split", policy: "USEKEY", keys }] });
    return true;
  }

  #checkRegions(stores: readonly StoreView[]): void {
    const { cluster } = this.#options;
    const { schedule, replication } = cluster.state;
    if (this.#isIn(cluster.pausedCheckers.get("rule")) || this.#isIn(cluster.pausedCheckers.get("replica"))) return;
    const byId = new Map(stores.map((store) => [store.meta.id, store]));
    let room = Number(schedule["replica-schedule-limit"]);
    for (const operator of cluster.operators.all()) if (operator.kinds.includes("replica")) room--;
    for (const region of cluster.regions.all()) {
      if (room <= 0) return;
      if (cluster.operators.get(region.id) !== undefined) continue;
      const plan = checkRegion({
        region,
        stores: byId,
        maxReplicas: Number(replication["max-replicas"]),
        newPeerId: () => cluster.ids.tryNext(),
      });
      if (plan !== null && this.start(region, plan)) room--;
    }
  }

  #moveLeaders(stores: readonly StoreView[]): void {
    const { cluster } = this.#options;
    const storesOf = (name: string) =>
      this.isPaused(name) ? [] : (cluster.state.storeSchedulers.find((each) => each.name === name)?.storeIds ?? []);
    const stopping = this.isPaused("evict-stopping-store-scheduler")
      ? []
      : stores.filter(({ stats }) => stats?.isStopping === true).map(({ meta }) => meta.id);
    const running = cluster.operators.all().filter(({ kinds }) => kinds.includes("leader"));
    const inFlight = new Map<number, number>();
    for (const { steps, currentStep } of running) {
      const step = steps[currentStep];
      if (step?.kind !== "transfer-leader") continue;
      inFlight.set(step.from, (inFlight.get(step.from) ?? 0) - 1);
      inFlight.set(step.to, (inFlight.get(step.to) ?? 0) + 1);
    }
    const input: LeaderInput = {
      regions: cluster.regions.all(),
      stores,
      isBusy: (id) => cluster.operators.get(id) !== undefined,
      inFlight,
      evicted: new Set([...storesOf("evict-leader-scheduler"), ...stopping]),
      granted: new Set(storesOf("grant-leader-scheduler")),
      limit: Number(cluster.state.schedule["leader-schedule-limit"]) - running.length,
    };
    if (input.limit <= 0) return;
    const moves: LeaderMove[] = evictLeaders(input);
    if (moves.length === 0 && input.granted.size > 0) moves.push(...grantLeaders(input));
    else if (moves.length === 0 && this.#mayBalance()) moves.push(...balanceLeaders(input));
    for (const { region, plan } of moves) this.start(region, plan);
  }

  #mayBalance(): boolean {
    const name = "balance-leader-scheduler";
    return this.#options.cluster.state.schedulers.includes(name) && !this.isPaused(name);
  }
}
