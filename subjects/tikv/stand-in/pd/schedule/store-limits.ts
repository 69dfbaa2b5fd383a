import type { Clock } from "../../../../../harness/base/clock.ts";
import type { Region } from "../regions.ts";
import type { Step } from "./step.ts";

export type LimitType = "add-peer" | "remove-peer";

/** What moving one region costs, by its size (tikv/pd:pkg/core/storelimit). Moving an empty one costs nothing. */
const COST = 1_000;
const SMALL_COST = 200;
const SMALL_MIB = 20;
const EMPTY_MIB = 1;
const MINUTE_MS = 60_000;

interface Bucket {
  ratePerMinute: number;
  tokens: number;
  atMs: number;
}

export interface LimitUse {
  readonly storeId: number;
  readonly type: LimitType;
  readonly cost: number;
}

/** Token buckets per store and direction, filled `rate` regions a minute. In memory of the leader. */
export class StoreLimits {
  readonly #clock: Clock;
  readonly #timeFactor: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, timeFactor: number) {
    this.#clock = clock;
    this.#timeFactor = timeFactor;
  }

  /** Whether a region of ordinary size could be added to (removed from) that store now. */
  isOpen(storeId: number, type: LimitType, ratePerMinute: number): boolean {
    return this.#filled(storeId, type, ratePerMinute).tokens >= COST;
  }

  affords({ storeId, type, cost }: LimitUse, ratePerMinute: number): boolean {
    return this.#filled(storeId, type, ratePerMinute).tokens >= cost;
  }

  take({ storeId, type, cost }: LimitUse, ratePerMinute: number): void {
    this.#filled(storeId, type, ratePerMinute).tokens -= cost;
  }

  clear(): void {
    this.#buckets.clear();
  }

  #filled(storeId: number, type: LimitType, ratePerMinute: number): Bucket {
    const key = `${storeId}/${type}`;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(key);
    if (bucket === undefined || bucket.ratePerMinute !== ratePerMinute) {
      const fresh = { ratePerMinute, tokens: capacityOf(ratePerMinute), atMs: now };
      this.#buckets.set(key, fresh);
      return fresh;
    }
    const perMs = (ratePerMinute * COST) / (MINUTE_MS * this.#timeFactor);
    bucket.tokens = Math.min(capacityOf(ratePerMinute), bucket.tokens + (now - bucket.atMs) * perMs);
    bucket.atMs = now;
    return bucket;
  }
}

/** A second's worth, at least one region. */
function capacityOf(ratePerMinute: number): number {
  return Math.max(1, ratePerMinute / 60) * COST;
}

/** What an operator with these steps takes from the limits of stores. */
export function limitUses(steps: readonly Step[], { approximateSize }: Region): LimitUse[] {
  const cost = approximateSize > SMALL_MIB ? COST : approximateSize > EMPTY_MIB ? SMALL_COST : 0;
  if (cost === 0) return [];
  return steps.flatMap((step): LimitUse[] => {
    if (step.kind === "add-learner") return [{ storeId: step.storeId, type: "add-peer", cost }];
    return step.kind === "remove-peer" ? [{ storeId: step.storeId, type: "remove-peer", cost }] : [];
  });
}
