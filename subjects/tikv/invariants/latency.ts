import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, violated } from "./judging.ts";
import { entries, overMetrics } from "./metrics.ts";

const MAX_P99_MS = 1_000;

/** 99 of 100 requests are answered by each store within a second. */
export function latency(timeFactor: number): Invariant<TikvObservation> {
  return overMetrics(
    {
      name: "latency",
      description: `each store answers 99 % of requests within ${MAX_P99_MS} ms`,
      graceMs: 30_000,
      clearMs: 30_000,
      judge: ({ p99Ms }) =>
        entries(p99Ms).map(([store, ms]) =>
          ms > MAX_P99_MS
            ? violated(store, "warning", `${store}: p99 of requests is ${Math.round(ms)} ms`, { p99Ms: ms })
            : held(store),
        ),
    },
    timeFactor,
  );
}
