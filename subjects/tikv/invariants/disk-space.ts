import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, percent, violated } from "./judging.ts";
import { entries, overMetrics } from "./metrics.ts";

/** PD's own rule (`low-space-ratio` 0.8): a nearly full disk counts as low only below 8 GiB free (facts §2). */
const LOW_SHARE = 0.8;
const ENOUGH_BYTES = 8 * 1024 ** 3;
/** TiKV keeps 5 GiB in reserve and refuses writes below it. */
const RESERVE_BYTES = 5 * 1024 ** 3;

/** Every store has room to write. */
export function diskSpace(timeFactor: number): Invariant<TikvObservation> {
  return overMetrics(
    {
      name: "disk_space",
      description: "every store has free disk space beyond its reserve",
      graceMs: 30_000,
      clearMs: 30_000,
      judge: ({ disk }) =>
        entries(disk).map(([store, view]) => {
          if (view.usedShare <= LOW_SHARE || view.availableBytes >= ENOUGH_BYTES) return held(store);
          const free = `${(view.availableBytes / 1024 ** 3).toFixed(1)} GiB free`;
          const severity = view.availableBytes < RESERVE_BYTES ? "critical" : "warning";
          return violated(store, severity, `${store}: disk ${percent(view.usedShare)} full, ${free}`, view);
        }),
    },
    timeFactor,
  );
}
