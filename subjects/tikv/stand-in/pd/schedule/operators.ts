import type { Clock } from "../../../../../harness/base/clock.ts";
import type { Region } from "../regions.ts";
import { isStepDone, makeOperator, OPERATOR_STATUS, type Operator, type Plan, type Step } from "./operator.ts";

const KEPT_RECORDS = 200;

/** What is under way, at most one per region, and what has ended. In memory of the leader. */
export class Operators {
  readonly #clock: Clock;
  readonly #timeFactor: number;
  readonly #running = new Map<number, Operator>();
  #records: Operator[] = [];

  constructor(clock: Clock, timeFactor: number) {
    this.#clock = clock;
    this.#timeFactor = timeFactor;
  }

  get(regionId: number): Operator | undefined {
    return this.#running.get(regionId);
  }
  all(): readonly Operator[] {
    return [...this.#running.values()];
  }
  /** Finished ones, newest first. */
  records(): readonly Operator[] {
    return this.#records;
  }

  /** @returns its first step to be sent, or null when the region has an operator already. */
  start(region: Region, plan: Plan): Step | null {
    const now = this.#clock.now();
    if (this.#running.has(region.id)) return null;
    const operator = makeOperator(region, plan, now, this.#timeFactor);
    this.#running.set(region.id, operator);
    return operator.steps[0] ?? null;
  }

  /** Called with every heartbeat. @returns the step that is to be sent (again), or null. */
  advance(region: Region): Step | null {
    const operator = this.#running.get(region.id);
    if (operator === undefined) return null;
    for (;;) {
      const step = operator.steps[operator.currentStep];
      if (step === undefined) return this.#end(operator, OPERATOR_STATUS.success);
      if (!isStepDone(step, region, operator)) break;
      operator.currentStep++;
    }
    if (this.#clock.now() - operator.createdAtMs > operator.timeoutMs)
      return this.#end(operator, OPERATOR_STATUS.timeout);
    // Another split or merge came in between: what was planned fits no more.
    if (region.version !== operator.version) return this.#end(operator, OPERATOR_STATUS.canceled);
    return operator.steps[operator.currentStep] ?? null;
  }

  /** Ends those that had their time: their region may report to nobody any more. */
  expire(): void {
    const now = this.#clock.now();
    for (const operator of this.#running.values())
      if (now - operator.createdAtMs > operator.timeoutMs) this.#end(operator, OPERATOR_STATUS.timeout);
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

  #end(operator: Operator, status: number): null {
    operator.status = status;
    operator.finishedAtMs = this.#clock.now();
    this.#running.delete(operator.regionId);
    this.#records = [operator, ...this.#records].slice(0, KEPT_RECORDS);
    return null;
  }
}
