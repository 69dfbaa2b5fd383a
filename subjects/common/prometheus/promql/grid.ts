import { labelKey, type Labels } from "../labels.ts";
import { QueryError } from "./errors.ts";

/** The instants of an evaluation, in ms: `startMs + i * stepMs` for i below `count`. */
export interface Grid {
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
}

export function gridOf(startMs: number, endMs: number, stepMs: number): Grid {
  return { startMs, stepMs, count: endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1 };
}

/** Values of one series at every instant of a grid where it has one. */
export interface StepSeries {
  readonly labels: Labels;
  readonly values: Float64Array;
  /** 1 where there is a value. */
  readonly present: Uint8Array;
}

export function emptySeries(labels: Labels, { count }: Grid): StepSeries {
  return { labels, values: new Float64Array(count), present: new Uint8Array(count) };
}

/** What an expression gives over a grid. A scalar has a value at every instant. */
export type GridValue =
  | { readonly type: "scalar"; readonly values: Float64Array }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "vector"; readonly series: readonly StepSeries[] };

const SAME = "vector cannot contain metrics with the same labelset";

export function sameLabels(): QueryError {
  return new QueryError("execution", SAME);
}

/**
 * Two series of the same labels are one when they never have a value at the same instant; series without any value are
 * dropped. What `rangeEval` of promql/engine.go does with results.
 *
 * @throws QueryError when they have
 */
export function merged(list: readonly StepSeries[]): StepSeries[] {
  const byKey = new Map<string, StepSeries>();
  for (const series of list) {
    if (!series.present.includes(1)) continue;
    const key = labelKey(series.labels);
    const other = byKey.get(key);
    byKey.set(key, other === undefined ? series : joined(other, series));
  }
  return [...byKey.values()];
}

function joined(a: StepSeries, b: StepSeries): StepSeries {
  const [values, present] = [Float64Array.from(a.values), Uint8Array.from(a.present)];
  for (let step = 0; step < present.length; step++) {
    if (b.present[step] === 0) continue;
    if (present[step] === 1) throw sameLabels();
    present[step] = 1;
    values[step] = b.values[step] as number;
  }
  return { labels: a.labels, values, present };
}

/** No two series with the same labels, at whatever instants. @throws QueryError */
export function distinct(list: readonly StepSeries[]): readonly StepSeries[] {
  if (new Set(list.map(({ labels }) => labelKey(labels))).size < list.length) throw sameLabels();
  return list;
}
