import type { Regions } from "../regions.ts";
import type { Operator, Plan } from "./operator.ts";
import { isStepDone, type Step } from "./step.ts";
import type { Region } from "../regions.ts";

export interface StoreInfluence {
  leaders: number;
  regions: number;
  /** MiB */
  size: number;
}

/** What operators under way will still change on each store (tikv/pd:pkg/schedule/operator/influence.go). */
export class Influence {
  readonly #stores = new Map<number, StoreInfluence>();

  static of(operators: readonly Operator[], regions: Regions): Influence {
    const influence = new Influence();
    for (const operator of operators) {
      const region = regions.get(operator.regionId);
      if (region !== undefined)
        influence.#addAll(
          operator.steps.filter((step, at) => at >= operator.currentStep && !isStepDone(step, region)),
          region,
        );
    }
    return influence;
  }

  get(storeId: number): Readonly<StoreInfluence> {
    return this.#of(storeId);
  }

  add({ steps, region }: Plan): void {
    this.#addAll(steps, region);
  }

  #addAll(steps: readonly Step[], region: Region): void {
    for (const step of steps) this.#add(step, region);
  }

  #add(step: Step, region: Region): void {
    if (step.kind === "transfer-leader") {
      this.#of(step.from).leaders--;
      this.#of(step.to).leaders++;
    } else if (step.kind === "add-learner") this.#move(step.storeId, 1, region);
    else if (step.kind === "remove-peer") this.#move(step.storeId, -1, region);
  }

  #move(storeId: number, by: number, { approximateSize }: Region): void {
    const store = this.#of(storeId);
    store.regions += by;
    store.size += by * Math.max(1, approximateSize);
  }

  #of(storeId: number): StoreInfluence {
    const found = this.#stores.get(storeId) ?? { leaders: 0, regions: 0, size: 0 };
    this.#stores.set(storeId, found);
    return found;
  }
}
