import type { Clock } from "../../../../../harness/base/clock.ts";
import { errorText } from "../../../../../harness/base/errors.ts";
import type { NodeLog } from "../../node-log.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { Peer } from "../regions.ts";
import type { StoreView } from "../stores.ts";
import { createLines, demoteLines, digestOf, forceLeaderLines } from "./digest.ts";
import {
  emptyPlan,
  planDemotions,
  planEmptyRegions,
  planExits,
  planForceLeaders,
  planToWire,
  type PlanInput,
  type Plans,
  type StorePlan,
} from "./recovery-plan.ts";
import { pictureOf, reportsFromWire, type PeerReport, type WireStoreReport } from "./report.ts";

export type Stage =
  | "idle"
  | "collect-report"
  | "force-leader-for-commit-merge"
  | "force-leader"
  | "demote-failed-voter"
  | "create-empty-region"
  | "exit-force-leader"
  | "finished"
  | "failed";

/** One entry of GET .../show. */
export interface StageOutput {
  readonly info: string;
  readonly time: string;
  readonly actions?: Readonly<Record<string, readonly string[]>>;
  readonly details?: readonly string[];
}

export interface UnsafeRecoveryOptions {
  readonly clock: Clock;
  readonly timeFactor: number;
  readonly log: NodeLog;
  stores(): readonly StoreView[];
  /** Makes a store a Tombstone, whatever is on it. */
  buryStore(id: number): Promise<void>;
  newId(): Promise<number>;
  /** Everything that is known of regions may be wrong now. */
  forgetRegions(): void;
}

/** A store that has not carried its plan out by then is sent it again. */
const PLAN_TIMEOUT_MS = 60_000;
const STAGE_TEXTS: Readonly<Partial<Record<Stage, string>>> = {
  "force-leader-for-commit-merge": "force leader for commit merge",
  "force-leader": "force leader",
  "demote-failed-voter": "demote Failed voter",
  "create-empty-region": "create empty region",
  "exit-force-leader": "exit force leader",
};

/**
 * Gives regions that lost their majority for good to what is left of them, by the living stores' heartbeats: they report
 * all their replicas, lead by force, demote the voters that are gone, fill holes, and stop leading by force. Loses data
 * (tikv/pd:pkg/unsaferecovery/unsafe_recovery_controller.go). In memory of PD's leader: a change of it ends it.
 */
export class UnsafeRecovery {
  readonly #options: UnsafeRecoveryOptions;
  #stage: Stage = "idle";
  #step = 0;
  #failed: ReadonlySet<number> = new Set();
  #autoDetect = false;
  #deadlineMs = 0;
  readonly #reports = new Map<number, readonly PeerReport[] | null>();
  readonly #sentUntil = new Map<number, number>();
  #plans: Plans = new Map();
  #output: StageOutput[] = [];
  #created: number[] = [];
  #error: string | null = null;
  /** Heartbeats are worked on one after the other: making a plan may wait for ids. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(options: UnsafeRecoveryOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return !["idle", "finished", "failed"].includes(this.#stage);
  }
  get stage(): Stage {
    return this.#stage;
  }

  clear(): void {
    this.#stage = "idle";
    this.#output = [];
    this.#reports.clear();
  }

  /** @throws PdRefusal 500 in PD's words */
  async start(failedStores: readonly number[], timeoutSec: number, autoDetect: boolean): Promise<void> {
    if (this.isRunning) throw refused("ErrUnsafeRecoveryIsRunning", "unsafe recovery is running");
    if (!autoDetect) this.#demandDead(failedStores);
    for (const id of autoDetect ? [] : failedStores) await this.#options.buryStore(id);
    this.#begin(new Set(failedStores), timeoutSec, autoDetect);
  }

  #demandDead(failedStores: readonly number[]): void {
    const invalid = (why: string) => refused("ErrUnsafeRecoveryInvalidInput", `invalid input ${why}`);
    if (failedStores.length === 0) throw invalid("no store specified");
    const known = this.#options.stores();
    for (const id of failedStores) {
      const store = known.find(({ meta }) => meta.id === id);
      if (store === undefined) throw invalid(`store ${id} doesn't exist`);
      if (store.stateName === "Up") throw invalid(`store ${id} is up and connected`);
    }
  }

  #begin(failed: ReadonlySet<number>, timeoutSec: number, autoDetect: boolean): void {
    const { clock, timeFactor, stores } = this.#options;
    this.#step = 0;
    this.#output = [];
    this.#created = [];
    this.#error = null;
    [this.#failed, this.#autoDetect] = [failed, autoDetect];
    this.#deadlineMs = clock.now() + timeoutSec * 1_000 * timeFactor;
    this.#reports.clear();
    for (const { meta } of stores())
      if (meta.state !== 2 && !meta.physicallyDestroyed && !failed.has(meta.id)) this.#reports.set(meta.id, null);
    this.#enter("collect-report", new Map());
  }

  /** As GET .../show answers. */
  show(): readonly StageOutput[] | readonly [{ readonly info: string }] {
    if (this.#stage === "idle") return [{ info: "No on-going recovery." }];
    if (this.isRunning && this.#isLate()) this.#fail(`Exceeds timeout ${new Date(this.#deadlineMs).toISOString()}`);
    return this.isRunning ? [...this.#output, this.#reportStatus()] : this.#output;
  }

  /** A store's heartbeat, with what it reports. @returns `pdpb.RecoveryPlan` for it, or null. */
  onHeartbeat(storeId: number, report: WireStoreReport | null): Promise<Record<string, unknown> | null> {
    const answer = this.#before.then(() => (this.isRunning ? this.#onHeartbeat(storeId, report) : null));
    this.#before = answer.catch(() => {});
    return answer;
  }

  async #onHeartbeat(storeId: number, report: WireStoreReport | null): Promise<Record<string, unknown> | null> {
    try {
      if (this.#isLate()) throw new Error(`Exceeds timeout ${new Date(this.#deadlineMs).toISOString()}`);
      if (this.#failed.has(storeId)) throw new Error(`Receive heartbeat from Failed store ${storeId}`);
      if (this.#collect(storeId, report)) await this.#next();
    } catch (error) {
      this.#fail(errorText(error));
    }
    return this.isRunning ? this.#planFor(storeId) : null;
  }

  /** @returns true when all have reported on this step. */
  #collect(storeId: number, report: WireStoreReport | null): boolean {
    if (report === null || Number(report.step) !== this.#step || !this.#reports.has(storeId)) return false;
    const isFirst = this.#reports.get(storeId) === null;
    this.#reports.set(storeId, reportsFromWire(storeId, report));
    return isFirst && [...this.#reports.values()].every((own) => own !== null);
  }

  #planFor(storeId: number): Record<string, unknown> | null {
    const { clock, timeFactor } = this.#options;
    if (this.#reports.get(storeId) !== null) return null;
    if ((this.#sentUntil.get(storeId) ?? 0) > clock.now()) return null;
    this.#sentUntil.set(storeId, clock.now() + PLAN_TIMEOUT_MS * timeFactor);
    return planToWire(this.#plans.get(storeId) ?? emptyPlan(), this.#step);
  }

  /** The first stage that has something to do is the next one; earlier ones may come again. */
  async #next(): Promise<void> {
    const input = this.#input();
    const stages: readonly [Stage, () => Plans | Promise<Plans>, (plan: StorePlan) => string[]][] = [
      ["force-leader-for-commit-merge", () => planForceLeaders(input, true), forceLeaderLines],
      ["force-leader", () => planForceLeaders(input, false), forceLeaderLines],
      ["demote-failed-voter", () => planDemotions(input), demoteLines],
      ["create-empty-region", () => planEmptyRegions(input, this.#options.newId), createLines],
    ];
    for (const [stage, make, lines] of this.#error === null ? stages : []) {
      const plans = await make();
      if (plans.size > 0) return this.#enter(stage, plans, digestOf(plans, lines));
    }
    const exits = planExits(input);
    if (exits.size > 0) return this.#enter("exit-force-leader", exits);
    this.#enter(this.#error === null ? "finished" : "failed", new Map());
  }

  #input(): PlanInput {
    const reports = new Map([...this.#reports].map(([id, own]) => [id, own ?? []]));
    return {
      reports,
      picture: pictureOf([...reports.values()].flat()),
      failedStores: this.#failed,
      isFailed: ({ storeId }: Peer) => this.#failed.has(storeId) || (this.#autoDetect && !reports.has(storeId)),
    };
  }

  #isLate(): boolean {
    return this.#options.clock.now() > this.#deadlineMs;
  }

  /** Stops leading by force first; a second failure ends it. */
  #fail(why: string): void {
    const { clock, timeFactor } = this.#options;
    this.#error ??= why;
    if (this.#stage === "exit-force-leader") return this.#enter("failed", new Map());
    this.#deadlineMs = clock.now() + 2 * PLAN_TIMEOUT_MS * timeFactor;
    this.#enter("exit-force-leader", new Map());
  }

  #enter(stage: Stage, plans: Plans, actions?: Readonly<Record<string, readonly string[]>>): void {
    const { log, forgetRegions } = this.#options;
    this.#stage = stage;
    this.#plans = plans;
    this.#created.push(...[...plans.values()].flatMap(({ creates }) => creates.map(({ id }) => id)));
    // Before the stores stop leading by force: what they say of their regions from then on counts.
    if (stage === "exit-force-leader" && this.#error === null) forgetRegions();
    const details = this.#detailsOf(stage);
    const output = {
      info: this.#infoOf(stage),
      time: this.#time(),
      ...(actions === undefined || Object.keys(actions).length === 0 ? {} : { actions }),
      ...(details.length === 0 ? {} : { details }),
    };
    this.#output.push(output);
    log.info("unsafe_recovery_controller.go:560", JSON.stringify(output));
    for (const id of this.#reports.keys()) this.#reports.set(id, null);
    this.#sentUntil.clear();
    this.#step++;
  }

  #infoOf(stage: Stage): string {
    if (stage === "collect-report") return "Unsafe recovery enters collect report stage";
    if (stage === "finished") return "Unsafe recovery Finished";
    if (stage === "failed") return `Unsafe recovery Failed: ${this.#error}`;
    return `Unsafe recovery enters ${STAGE_TEXTS[stage]} stage`;
  }

  #detailsOf(stage: Stage): string[] {
    if (stage === "collect-report")
      return this.#autoDetect
        ? ["auto detect mode with no specified Failed stores"]
        : [`Failed stores ${[...this.#failed].join(", ")}`];
    if (stage === "exit-force-leader") return this.#error === null ? [] : [`triggered by error: ${this.#error}`];
    if (stage !== "finished" && stage !== "failed") return [];
    const created = `newly created empty regions: ${this.#created.join(", ")}`;
    return [this.#created.length > 0 ? created : "no newly created empty regions"];
  }

  #reportStatus(): StageOutput {
    const ids = [...this.#reports.keys()];
    const reported = ids.filter((id) => this.#reports.get(id) !== null);
    const sent = (id: number) => this.#sentUntil.has(id);
    const waiting = ids.filter((id) => !reported.includes(id));
    return {
      info: `Collecting reports from alive stores(${reported.length}/${ids.length})`,
      time: this.#time(),
      details: [
        `Stores that have not dispatched plan: ${waiting.filter((id) => !sent(id)).join(", ")}`,
        `Stores that have reported to PD: ${reported.join(", ")}`,
        `Stores that have not reported to PD: ${waiting.filter(sent).join(", ")}`,
      ],
    };
  }

  #time(): string {
    return new Date(this.#options.clock.now()).toISOString().replace("T", " ").replace("Z", "");
  }
}

function refused(code: string, text: string): PdRefusal {
  return new PdRefusal(500, `[PD:unsaferecovery:${code}]${text}`);
}
