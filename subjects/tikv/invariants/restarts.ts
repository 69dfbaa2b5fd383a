import type { Component, Invariant, Judgement } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, unknown, violated } from "./judging.ts";

const WINDOW_MS = 60_000;
/** One restart may be somebody's repair. */
const TOO_MANY = 2;

/**
 * No component restarts over and over. A store that dies and returns within seconds stays Up for PD all the time
 * (facts §10); only its start time and the engine's count of restarts tell. Restarts that the engine made by its own
 * policy count; where no engine is seen, a moving start time does.
 */
export function restarts(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "restarts",
    description: `no component restarts ${TOO_MANY} times within ${WINDOW_MS / 1000} s`,
    graceMs: 0,
    clearMs: 5_000 * timeFactor,
    windowMs: WINDOW_MS * timeFactor,
    judge(window) {
      const counts = new Map<Component, number>();
      const unseen = new Set<Component>();
      for (const [component, seen] of byPolicy(window)) counts.set(component, rises(seen));
      for (const [component, seen] of byStartTime(window)) {
        if (counts.has(component)) continue;
        if (seen.length === 0) unseen.add(component);
        else counts.set(component, new Set(seen).size - 1);
      }
      return [
        ...[...counts].map(([component, count]): Judgement => {
          if (count < TOO_MANY) return held(component);
          const seconds = Math.round((WINDOW_MS * timeFactor) / 1000);
          return violated(component, "critical", `${component} restarted ${count} times within ${seconds} s`, {
            count,
          });
        }),
        ...[...unseen].map((component) => unknown(component, "it never told when it started")),
      ];
    },
  };
}

function byPolicy(window: readonly TikvObservation[]): Map<Component, number[]> {
  const seen = new Map<Component, number[]>();
  for (const { sources } of window)
    if (sources.engine?.ok === true)
      for (const { component, restartCount } of sources.engine.value)
        seen.set(component, [...(seen.get(component) ?? []), restartCount]);
  return seen;
}

/** A new container counts from zero again, which is no restart by policy. */
function rises(values: readonly number[]): number {
  return values.reduce((sum, value, i) => sum + Math.max(0, value - (values[i - 1] ?? value)), 0);
}

function byStartTime(window: readonly TikvObservation[]): Map<Component, number[]> {
  const seen = new Map<Component, number[]>();
  for (const { sources } of window) {
    if (sources.pd?.ok !== true || !sources.pd.value.stores.ok) continue;
    for (const { component, startedAtMs } of sources.pd.value.stores.value)
      seen.set(component, [...(seen.get(component) ?? []), ...(startedAtMs === null ? [] : [startedAtMs])]);
  }
  return seen;
}
