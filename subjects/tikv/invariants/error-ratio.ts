import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, percent, unknown, violated } from "./judging.ts";
import { overMetrics } from "./metrics.ts";

const MAX_RATIO = 0.05;

/** Stores refuse or fail few of the requests that reach them. */
export function errorRatio(timeFactor: number): Invariant<TikvObservation> {
  return overMetrics(
    {
      name: "error_ratio",
      description: `stores fail less than ${percent(MAX_RATIO)} of requests`,
      graceMs: 30_000,
      clearMs: 30_000,
      judge: ({ errorRatio: ratio }) => {
        if (ratio === null) return [unknown(null, "Prometheus has no request counts")];
        if (ratio <= MAX_RATIO) return [held(null)];
        return [violated(null, "warning", `stores fail ${percent(ratio)} of requests`, { errorRatio: ratio })];
      },
    },
    timeFactor,
  );
}
