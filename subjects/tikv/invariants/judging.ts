import type { Component, Judgement, Reading, Severity } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";

export const held = (component: Component | null): Judgement => ({ state: "held", component });

export const unknown = (component: Component | null, why: string): Judgement => ({ state: "unknown", component, why });

export const violated = (
  component: Component | null,
  severity: Severity,
  message: string,
  evidence: unknown,
): Judgement => ({ state: "violated", component, severity, message, evidence });

/** The newest observation of a window, which is never empty. */
export function newest(window: readonly TikvObservation[]): TikvObservation {
  const last = window.at(-1);
  if (last === undefined) throw new RangeError("an invariant was given an empty window");
  return last;
}

/** Why a reading is missing; null when it is there. */
export function whyMissing(reading: Reading<unknown> | undefined, source: string): string | null {
  if (reading === undefined) return `${source} is not configured`;
  return reading.ok ? null : reading.why;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
