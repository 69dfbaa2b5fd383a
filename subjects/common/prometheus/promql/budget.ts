import { QueryError } from "./errors.ts";

export interface Limits {
  /** `--query.max-samples`. */
  readonly maxSamples: number;
  /** `--query.timeout`. */
  readonly timeoutMs: number;
  monotonic(): number;
}

/** How long a query may work before others get their turn. */
const TURN_MS = 20;

/** What one query may cost. */
export class Budget {
  readonly #limits: Limits;
  readonly #began: number;
  #turn: number;
  #samples = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#began = limits.monotonic();
    this.#turn = this.#began;
  }

  /** @throws QueryError `execution` when there are more than allowed in all */
  samples(count: number): void {
    this.#samples += count;
    if (this.#samples > this.#limits.maxSamples)
      throw new QueryError("execution", "query processing would load too many samples into memory in query execution");
  }

  /** Whether it is time to let others work. @throws QueryError `timeout` */
  due(): boolean {
    const now = this.#limits.monotonic();
    if (now - this.#began > this.#limits.timeoutMs)
      throw new QueryError("timeout", "query timed out in expression evaluation");
    return now - this.#turn > TURN_MS;
  }

  /** After others have worked. */
  resume(): void {
    this.#turn = this.#limits.monotonic();
  }
}
