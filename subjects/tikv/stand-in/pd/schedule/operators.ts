import type { Clock } from "../../../../../harness/base/clock.ts";
import type { NodeLog } from "../../node-log.ts";
import type { Region } from "../regions.ts";
import {
  countedAs,
  makeOperator,
  OPERATOR_STATUS,
  operatorText,
  ownConfVerChange,
  type Operator,
  type OperatorKind,
  type Plan,
} from "./operator.ts";
import type { ScheduleMetrics } from "./schedule-metrics.ts";
import { isStepDone, STEP_TYPES, whyStale, type Step } from "./step.ts";

/** Finished operators are kept this long. */
const KEPT_MS = 600_000;
const KEPT_RECORDS = 1_000;
const ENDS = { 2: "finish", 3: "cancel", 4: "replace", 5: "expire", 6: "timeout" } as const;

export interface OperatorsOptions {
  readonly clock: Clock;
  readonly timeFactor: number;
  readonly log: NodeLog;
  readonly metrics: ScheduleMetrics;
  /** The store is gone, or Down. */
  isDown(storeId: number): boolean;
}

/** What is under way, at most one per region, and what has ended. In memory of the leader. */
export class Operators {
  readonly #options: OperatorsOptions;
  readonly #running = new Map<number, Operator>();
  #records: Operator[] = [];

  constructor(options: OperatorsOptions) {
    this.#options = options;
  }

  get(regionId: number): Operator | undefined {
    return this.#running.get(regionId);
  }
  all(): readonly Operator[] {
    return [...this.#running.values()];
  }
  count(kind: OperatorKind): number {
    return this.all().filter((operator) => countedAs(operator) === kind).length;
  }
  /** Finished ones of the last ten minutes, newest first. */
  records(): readonly Operator[] {
    const from = this.#options.clock.now() - KEPT_MS * this.#options.timeFactor;
    return this.#records.filter(({ finishedAtMs }) => finishedAtMs >= from);
  }

  /** All or none; those of lower priority that are under way in the same regions are replaced. */
  start(plans: readonly Plan[]): boolean {
    const { clock, log, metrics } = this.#options;
    const made = plans.map((plan) => makeOperator(plan, clock.now(), clock.monotonic()));
    if (made.some((operator) => (this.#running.get(operator.regionId)?.priority ?? 0) >= operator.priority))
      return false;
    for (const operator of made) {
      const old = this.#running.get(operator.regionId);
      if (old !== undefined) this.#end(old, OPERATOR_STATUS.replaced);
      this.#running.set(operator.regionId, operator);
      for (const event of ["create", "start"]) metrics.operators.inc({ event, type: operator.desc });
      const fields = { "region-id": operator.regionId, operator: operatorText(operator) };
      log.info("operator_controller.go:593", "add operator", fields);
    }
    return true;
  }

  /** Called with every heartbeat and now and then besides. @returns the step that is to be sent (again), or null. */
  advance(region: Region): Step | null {
    const { clock, metrics, isDown } = this.#options;
    const operator = this.#running.get(region.id);
    if (operator === undefined) return null;
    metrics.operators.inc({ event: "check", type: operator.desc });
    for (;;) {
      const step = operator.steps[operator.currentStep];
      if (step === undefined) return this.#end(operator, OPERATOR_STATUS.success);
      if (!isStepDone(step, region)) break;
      const seconds = (clock.now() - operator.stepStartedAtMs) / 1_000;
      metrics.stepDuration.observe({ type: STEP_TYPES[step.kind] }, seconds);
      operator.currentStep++;
      operator.stepStartedAtMs = clock.now();
    }
    if (this.#isTimedOut(operator)) return this.#end(operator, OPERATOR_STATUS.timeout);
    const step = operator.steps[operator.currentStep] as Step;
    const why = this.#whyCancel(operator, region, whyStale(step, region, isDown));
    if (why === null) {
      operator.pushedAtMs = clock.now();
      return step;
    }
    this.#options.log.info("operator_controller.go:187", "operator is stale", { "region-id": region.id, error: why });
    return this.#end(operator, OPERATOR_STATUS.canceled);
  }

  /** Somebody else has changed the region meanwhile, or its target went away: what was planned fits no more. */
  #whyCancel(operator: Operator, region: Region, stale: string | null): string | null {
    if (stale !== null) return stale;
    const others = region.confVer - operator.confVer - ownConfVerChange(operator, region);
    if (others > 0 || region.version > operator.version) return "epoch not match";
    return null;
  }

  /** Ends those that had their time or whose region is gone: it may report to nobody any more. */
  expire(isKnown: (regionId: number) => boolean): void {
    for (const operator of this.#running.values())
      if (!isKnown(operator.regionId)) this.#end(operator, merged(operator));
      else if (this.#isTimedOut(operator)) this.#end(operator, OPERATOR_STATUS.timeout);
  }

  cancel(regionId: number): boolean {
    const operator = this.#running.get(regionId);
    if (operator !== undefined) this.#end(operator, OPERATOR_STATUS.canceled);
    return operator !== undefined;
  }

  clear(): void {
    this.#running.clear();
    this.#records = [];
  }

  #isTimedOut({ createdAtMs, timeoutMs }: Operator): boolean {
    return this.#options.clock.now() - createdAtMs > timeoutMs * this.#options.timeFactor;
  }

  #end(operator: Operator, status: Exclude<keyof typeof ENDS, never>): null {
    const { clock, metrics, log } = this.#options;
    operator.status = status;
    operator.finishedAtMs = clock.now();
    this.#running.delete(operator.regionId);
    this.#records = [operator, ...this.#records].slice(0, KEPT_RECORDS);
    const type = operator.desc;
    metrics.operators.inc({ event: "remove", type });
    metrics.operators.inc({ event: ENDS[status], type });
    const takesMs = operator.finishedAtMs - operator.createdAtMs;
    if (status === OPERATOR_STATUS.success) metrics.operatorDuration.observe({ type }, takesMs / 1_000);
    log.info("operator_controller.go:740", `operator ${ENDS[status]}`, {
      "region-id": operator.regionId,
      takes: `${takesMs}ms`,
      operator: operatorText(operator),
    });
    this.#endRelated(operator, status);
    return null;
  }

  /** A merge is two operators: when one side is given up, so is the other. */
  #endRelated({ relatedRegionId }: Operator, status: number): void {
    const other = relatedRegionId === null ? undefined : this.#running.get(relatedRegionId);
    if (other === undefined) return;
    const isDone = status === OPERATOR_STATUS.success;
    this.#end(other, isDone ? OPERATOR_STATUS.success : OPERATOR_STATUS.canceled);
  }
}

/** The source of a merge disappears when it is done. */
function merged({ relatedRegionId }: Operator): 2 | 3 {
  return relatedRegionId === null ? OPERATOR_STATUS.canceled : OPERATOR_STATUS.success;
}
