import { ConfigError } from "../../base/errors.ts";
import type { Usage } from "../../protocol.ts";

/**
 * The one place for models and prices; USD per million tokens, cache writes at the 5-minute rate.
 *
 * Ids: the `Model` type of @anthropic-ai/sdk 1.12.0 (2026-11-20). Prices as of 2026-11-21, from
 * platform.claude.com/docs/en/about-claude/pricing and the model pages as they are stored publicly; where only a
 * third party's copy could be read, the row says so. Compare before you trust a bill to them.
 */
export interface ModelPrice {
  readonly input: number;
  readonly output: number;
  readonly cacheWrite: number;
  readonly cacheRead: number;
}

export interface ModelInfo {
  readonly price: ModelPrice;
  /** Every token of a request whose prompt is longer than this costs `price` instead of the row's own. */
  readonly longPrompt?: { readonly overTokens: number; readonly price: ModelPrice };
  readonly contextTokens: number;
  /** `adaptive`: thinks by itself, and its summaries can be asked for; `none`: not asked to think. */
  readonly thinking: "adaptive" | "none";
}

export const PRICES_AS_OF = "2026-11-21";

/** What the SDK's own README uses; Anthropic's advice for most workloads. */
export const DEFAULT_MODEL = "claude-opus-5-5";

const MILLION = 1_000_000;
const modern = { contextTokens: MILLION, thinking: "adaptive" } as const;

export const MODELS: Readonly<Record<string, ModelInfo>> = {
  "claude-opus-5-5": { ...modern, price: { input: 4, output: 20, cacheWrite: 5, cacheRead: 0.2 } },
  "claude-opus-5": { ...modern, price: { input: 5, output: 25, cacheWrite: 6.25, cacheRead: 0.5 } },
  // Cache reads were halved on 2026-10-07 (third-party copies of 2026-10-16 and 2026-10-24).
  "claude-sonnet-5-5": { ...modern, price: { input: 2, output: 10, cacheWrite: 2.5, cacheRead: 0.1 } },
  "claude-sonnet-5": { ...modern, price: { input: 2, output: 10, cacheWrite: 2.5, cacheRead: 0.2 } },
  // Third-party copies of 2026-10-16 and 2026-10-24.
  "claude-haiku-5-5": {
    ...modern,
    price: { input: 0.1, output: 0.5, cacheWrite: 0.125, cacheRead: 0.01 },
    longPrompt: { overTokens: 100_000, price: { input: 0.5, output: 2.5, cacheWrite: 0.625, cacheRead: 0.05 } },
  },
  "claude-haiku-4-5": {
    contextTokens: 200_000,
    thinking: "none",
    price: { input: 1, output: 5, cacheWrite: 1.25, cacheRead: 0.1 },
  },
  // A third party's copy of 2026-11-10.
  "claude-fable-5-2": { ...modern, price: { input: 8, output: 40, cacheWrite: 10, cacheRead: 0.2 } },
  "claude-fable-5-1": { ...modern, price: { input: 10, output: 50, cacheWrite: 12.5, cacheRead: 0.25 } },
};

/** @throws ConfigError for a model whose price is not known: its cost could not be capped. */
export function modelInfo(model: string): ModelInfo {
  const info = MODELS[model];
  if (info !== undefined) return info;
  throw new ConfigError(
    `the price of ${model} is not known, so its cost could not be capped; known: ${Object.keys(MODELS).join(", ")} (add a row to claude-models.ts)`,
  );
}

/** Tokens of one request, by kind. */
export type TokenUsage = Pick<Usage, "inputTokens" | "outputTokens" | "cacheReadTokens" | "cacheWriteTokens">;

export function promptTokens(usage: TokenUsage): number {
  return usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
}

/** The row that a request is billed by. */
export function priceOf(info: ModelInfo, tokens: number): ModelPrice {
  return info.longPrompt !== undefined && tokens > info.longPrompt.overTokens ? info.longPrompt.price : info.price;
}

export function usdOf(info: ModelInfo, usage: TokenUsage): number {
  const price = priceOf(info, promptTokens(usage));
  return (
    (usage.inputTokens * price.input +
      usage.outputTokens * price.output +
      usage.cacheReadTokens * price.cacheRead +
      usage.cacheWriteTokens * price.cacheWrite) /
    MILLION
  );
}
