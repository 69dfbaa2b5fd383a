import { z } from "zod";

const ms = z.number().int().min(1);

/**
 * The watchdog's settings. Names elsewhere: `WATCHDOG_` and the key in capitals as a variable (`WATCHDOG_INTERVAL_MS`),
 * the key in snake case below `watchdog` in the config file (`interval_ms`).
 */
export const watchdogSettingsSchema = z.strictObject({
  /** Between two looks when nothing happens; the engine's events bring the next look forward. */
  intervalMs: ms.default(30_000),
  /** The pause before attempt n (from 0) is `backoffBaseMs` x `backoffFactor` ^ n, at most `backoffCapMs`. */
  backoffBaseMs: ms.default(10_000),
  backoffFactor: z.number().min(1).max(10).default(1.5),
  backoffCapMs: ms.default(300_000),
  /** Each pause is stretched or shortened by up to this part of it, so that several do not start in step. */
  backoffJitter: z.number().min(0).max(0.9).default(0.2),
  /** Attempts in one episode; after the pause that follows the last one it gives up. */
  maxAttempts: z.number().int().min(1).max(100).default(5),
  /** Healthy without a break for so long ends an episode: the count begins anew. */
  stableMs: ms.default(120_000),
  /** Bound on one restart, unpause or recreation, and on one look. */
  actTimeoutMs: ms.default(60_000),
  /** A command of the agent's plane within so long before a failure counts as its possible cause. */
  blameMs: ms.default(60_000),
  /** `ALLOW_LEGACY_FALLBACK` and `allow_legacy_fallback`: set on the host, never by an agent. */
  allowLegacyFallback: z.boolean().default(false),
});

export type WatchdogSettings = Readonly<z.output<typeof watchdogSettingsSchema>>;

export const DEFAULT_WATCHDOG_SETTINGS: WatchdogSettings = watchdogSettingsSchema.parse({});
