import type { TrialRecord } from "../store/record.ts";
import { describePredicate } from "./hypothesis.ts";

/**
 * Pure. In a control nothing is broken; where clients were badly off all the same, before the operator had changed
 * anything, the machine did it, and what the monitor said and the operator concluded was right. Only what clients saw
 * counts: the monitor's invariants are what a control is there to measure.
 *
 * @returns what was seen, in one sentence; null = nothing, or no control.
 */
export function disturbance({
  scenario,
  samples,
  marks,
}: Pick<TrialRecord, "scenario" | "samples" | "marks">): string | null {
  if (!scenario.control) return null;
  const untilMs = marks.firstWriteMs ?? Infinity;
  for (const { atMs, held } of samples) {
    if (atMs >= untilMs) return null;
    const violated = scenario.hypothesis.filter(
      ({ kind }, index) => (kind === "client-success" || kind === "client-p99") && held[index] === false,
    );
    if (violated.length > 0)
      return (
        `clients were badly off ${(Math.max(0, atMs) / 1000).toFixed(1)} s after the start, though nothing had been broken ` +
        `(not held: ${violated.map(describePredicate).join(", ")}): nothing can be learnt from a control on a machine ` +
        "that disturbs its cluster; give it less to do"
      );
  }
  return null;
}
