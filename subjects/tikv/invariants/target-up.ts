import type { Component, Invariant, Judgement } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, violated } from "./judging.ts";
import { overMetrics } from "./metrics.ts";

/** The jobs of the cluster itself, as its shipped rules name them; what else Prometheus scrapes is not the subject. */
const JOBS = new Set(["pd", "tikv"]);

/** Prometheus reaches every server of the cluster that it is told to scrape. */
export function targetUp(timeFactor: number): Invariant<TikvObservation> {
  return overMetrics(
    {
      name: "target_up",
      description: "Prometheus can scrape every server of the cluster",
      // Three scrapes of 15 s: what was repaired meanwhile still looks down until the next one.
      graceMs: 45_000,
      clearMs: 15_000,
      judge: ({ targets }) => {
        const down = new Map<Component, string[]>();
        for (const { component, job, up } of targets.filter((target) => JOBS.has(target.job)))
          down.set(component, [...(down.get(component) ?? []), ...(up ? [] : [job])]);
        return [...down].map(([component, jobs]): Judgement =>
          jobs.length === 0
            ? held(component)
            : violated(component, "warning", `Prometheus cannot scrape ${component}`, { jobs }),
        );
      },
    },
    timeFactor,
  );
}
