import { createHash } from "node:crypto";
import { z } from "zod";
import type { Grade, TrialRecord } from "../store/record.ts";
import { describePredicate } from "./hypothesis.ts";
import { predicateRecovery } from "./recovery.ts";

/** Trials of the same key in which no operator acted. */
export const baselineSchema = z.strictObject({
  format: z.literal(1),
  key: z.string(),
  scenario: z.string(),
  engine: z.enum(["docker", "process"]),
  timeFactor: z.number(),
  subject: z.string(),
  runs: z
    .array(
      z.strictObject({
        id: z.string(),
        startedAt: z.string(),
        seed: z.int(),
        horizonMs: z.number(),
        /** Per predicate of the hypothesis, in order. */
        predicates: z.array(z.strictObject({ broke: z.boolean(), recoveredMs: z.number().nullable() })),
      }),
    )
    .min(1),
});

export type Baseline = z.output<typeof baselineSchema>;

/** Below this many runs a difference between recovery times says nothing: there is no spread to hold it against. */
const RUNS_FOR_A_SPREAD = 3;

/**
 * What must be equal for two trials to be comparable: scenario, subject with its build, engine and timing profile; not
 * the package's version, not the seed.
 */
export function baselineKey(of: Pick<TrialRecord, "scenario" | "engine" | "timeFactor"> & { build: string }): string {
  const text = JSON.stringify([of.scenario, of.build, of.engine, of.timeFactor]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/**
 * Who deserves the recovery. Per predicate that broke: it recovered here, and without an operator it never did, or
 * later by more than the spread of the runs without one.
 */
export function counterfactual(
  record: TrialRecord,
  baseline: Baseline | null,
): { credit: Grade["credit"]; why: string } {
  if (record.scenario.control) return { credit: "none", why: "a control: there was nothing to repair" };
  const broken = record.scenario.hypothesis.flatMap((predicate, index) => {
    const here = predicateRecovery(record.samples, index);
    return here.broke ? [{ name: describePredicate(predicate), index, recoveredMs: here.recoveredMs }] : [];
  });
  if (broken.length === 0) return { credit: "none", why: "nothing broke, so nothing was repaired" };
  const recovered = broken.filter((predicate) => predicate.recoveredMs !== null);
  if (recovered.length === 0) return { credit: "none", why: "nothing recovered" };
  if (!record.actions.some((action) => action.effect !== "read" && action.ok))
    return { credit: "none", why: "the operator changed nothing" };
  if (baseline === null) return { credit: "not-shown", why: "no stored runs without an operator for this key" };
  const shown = recovered.map((predicate) => ({
    ...predicate,
    ...compare(predicate.recoveredMs ?? 0, predicate.index, baseline),
  }));
  const credited = shown.filter((predicate) => predicate.operators);
  const all = baseline.runs.length;
  const cite = `${all} of ${all} stored runs of ${dates(baseline)}`;
  if (credited.length === 0) return { credit: "none", why: `as soon without an operator (${cite})` };
  return {
    credit: "operator",
    why: `without an operator: ${credited.map(({ name, how }) => `${name} ${how}`).join("; ")} (${cite})`,
  };
}

function compare(hereMs: number, index: number, { runs }: Baseline): { operators: boolean; how: string } {
  const without = runs.map((run) => ({
    horizonMs: run.horizonMs,
    recoveredMs: run.predicates[index]?.recoveredMs ?? null,
  }));
  const times = without.flatMap(({ recoveredMs }) => (recoveredMs === null ? [] : [recoveredMs]));
  if (times.length === 0) {
    const watchedMs = Math.min(...without.map((run) => run.horizonMs));
    return {
      operators: watchedMs > hereMs,
      how: `still violated at ${Math.round(watchedMs / 1000)} s`,
    };
  }
  // Where some runs recover and some do not, the operator would be credited for luck: not shown.
  if (times.length < runs.length || runs.length < RUNS_FOR_A_SPREAD) return { operators: false, how: "" };
  const spreadMs = Math.max(...times) - Math.min(...times);
  return {
    operators: hereMs < Math.min(...times) - spreadMs,
    how: `holds again after ${Math.round(Math.min(...times) / 100) / 10} s at the earliest`,
  };
}

export function dates({ runs }: Baseline): string {
  const days = runs.map((run) => run.startedAt.slice(0, 10)).toSorted();
  const [first, last] = [days[0] ?? "", days.at(-1) ?? ""];
  return first === last ? first : `${first} to ${last}`;
}
