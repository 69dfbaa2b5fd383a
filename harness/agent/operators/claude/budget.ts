import type { Clock, OperatorLimits, Usage } from "../../../protocol.ts";
import { priceOf, promptTokens, usdOf, type ModelInfo, type TokenUsage } from "../claude-models.ts";

const NOTHING: TokenUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
/** A reply shorter than this helps nobody. */
const LEAST_OUTPUT_TOKENS = 256;

/** What has been used of the limits, and what the next turn may use. */
export class Budget {
  readonly #limits: OperatorLimits;
  readonly #model: ModelInfo;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #total: TokenUsage = NOTHING;
  #usd = 0;
  #turns = 0;
  /** Of the request under way; counted when it ends, because its usage is told more than once. */
  #current: TokenUsage = NOTHING;
  #lastPromptTokens = 0;

  constructor(limits: OperatorLimits, model: ModelInfo, clock: Clock) {
    this.#limits = limits;
    this.#model = model;
    this.#clock = clock;
    this.#startedMs = clock.monotonic();
  }

  /** Why no further turn is allowed, or null. `waitedMs` = for the API's rate limits and for people: not working time. */
  exhausted(waitedMs: number): string | null {
    const { turns, workingMs, usd } = this.#limits;
    const worked = this.#clock.monotonic() - this.#startedMs - waitedMs;
    if (this.#turns >= turns) return `turn limit reached: ${this.#turns} of ${turns}`;
    if (worked >= workingMs)
      return `working time limit reached: ${Math.round(worked / 1_000)} of ${workingMs / 1_000} s`;
    if (this.outputTokens() < LEAST_OUTPUT_TOKENS) return `cost limit reached: USD ${this.#usd.toFixed(3)} of ${usd}`;
    return null;
  }

  /** How much the next reply may be: the limit of a turn, or what the money is still good for. */
  outputTokens(): number {
    const price = priceOf(this.#model, this.#lastPromptTokens);
    const promptUsd = (this.#lastPromptTokens * price.cacheRead) / 1_000_000;
    const left = this.#limits.usd - this.#usd - promptUsd;
    return Math.max(0, Math.min(this.#limits.outputTokensPerTurn, Math.floor((left / price.output) * 1_000_000)));
  }

  /** Tells what the request under way has used so far; a new try of it counts on top. */
  readonly spent = (usage: TokenUsage): void => {
    // Later figures of one request replace earlier ones; fields that are not repeated stay.
    if (usage.outputTokens < this.#current.outputTokens) this.settle();
    this.#current = {
      inputTokens: usage.inputTokens || this.#current.inputTokens,
      outputTokens: usage.outputTokens,
      cacheReadTokens: usage.cacheReadTokens || this.#current.cacheReadTokens,
      cacheWriteTokens: usage.cacheWriteTokens || this.#current.cacheWriteTokens,
    };
  };

  /** The request under way has ended, however it did. */
  settle(): void {
    const used = this.#current;
    if (promptTokens(used) > 0) this.#lastPromptTokens = promptTokens(used);
    this.#usd += usdOf(this.#model, used);
    this.#total = {
      inputTokens: this.#total.inputTokens + used.inputTokens,
      outputTokens: this.#total.outputTokens + used.outputTokens,
      cacheReadTokens: this.#total.cacheReadTokens + used.cacheReadTokens,
      cacheWriteTokens: this.#total.cacheWriteTokens + used.cacheWriteTokens,
    };
    this.#current = NOTHING;
  }

  turn(): void {
    this.#turns++;
  }

  get promptTokens(): number {
    return this.#lastPromptTokens;
  }

  usage(): Usage {
    return { ...this.#total, usd: this.#usd, turns: this.#turns };
  }
}
