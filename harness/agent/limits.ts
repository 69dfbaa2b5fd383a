import type { OperatorLimits, Usage } from "../protocol.ts";

export const defaultLimits: OperatorLimits = {
  turns: 60,
  workingMs: 15 * 60_000,
  usd: 2,
  outputTokensPerTurn: 8_000,
};

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  usd: 0,
  turns: 0,
};
