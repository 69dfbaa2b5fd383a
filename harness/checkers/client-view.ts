import type { Operation } from "../protocol.ts";
import { quantile } from "../stats/quantile.ts";

export interface ClientViewOptions {
  /** Monotonic time that counts as zero: the fault. */
  readonly zeroMs: number;
  /** Share of operations that must succeed in every window, e.g. 0.99. */
  readonly okRatio: number;
  readonly windowMs: number;
}

/** What clients saw in one slice of time. Times are relative to zero. */
export interface ClientSlice {
  readonly fromMs: number;
  readonly operations: number;
  /** null when no operation began in it. */
  readonly okRatio: number | null;
  /** Of all that began in it, however they ended; null when none did. */
  readonly p99Ms: number | null;
}

export interface ClientView {
  /** Counts over the whole history, also before zero. */
  readonly operations: number;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  /** When a client first knew, relative to zero: end of the first bad operation in the first slice below target. */
  readonly firstBreachMs: number | null;
  /** How long the share of successes was below target, in whole slices since zero. */
  readonly belowTargetMs: number;
  readonly slices: readonly ClientSlice[];
}

/**
 * Availability as clients saw it since zero. An operation counts where it *began* (at zero, if it was under way then):
 * the rate of beginnings is fixed, so the share of them that came to nothing is the share of time without service, and
 * slow failures do not smear an outage over the time after it. Pure.
 */
export function clientView(
  history: readonly Operation[],
  { zeroMs, okRatio, windowMs }: ClientViewOptions,
): ClientView {
  const count = (outcome: Operation["outcome"]) => history.filter((op) => op.outcome === outcome).length;
  const since = history.filter((op) => op.endedMs >= zeroMs);
  const buckets = Map.groupBy(since, (op) => Math.floor(Math.max(0, op.startedMs - zeroMs) / windowMs));
  const last = Math.max(-1, ...buckets.keys());
  const slices: ClientSlice[] = [];
  let firstBreachMs: number | null = null;
  let belowTargetMs = 0;
  for (let index = 0; index <= last; index++) {
    const begun = buckets.get(index) ?? [];
    const slice = sliceOf(begun, index * windowMs);
    slices.push(slice);
    if (slice.okRatio === null || slice.okRatio >= okRatio) continue;
    belowTargetMs += windowMs;
    firstBreachMs ??= Math.min(...begun.filter((op) => op.outcome !== "ok").map((op) => op.endedMs - zeroMs));
  }
  return {
    operations: history.length,
    ok: count("ok"),
    failed: count("failed"),
    unknown: count("unknown"),
    firstBreachMs,
    belowTargetMs,
    slices,
  };
}

function sliceOf(begun: readonly Operation[], fromMs: number): ClientSlice {
  const operations = begun.length;
  const durations = begun.map((op) => op.endedMs - op.startedMs);
  const ok = begun.filter((op) => op.outcome === "ok").length;
  return {
    fromMs,
    operations,
    okRatio: operations === 0 ? null : ok / operations,
    p99Ms: operations === 0 ? null : quantile(durations, 0.99),
  };
}
