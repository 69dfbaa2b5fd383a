import { NAME, type Labels } from "../labels.ts";
import type { Expr } from "./ast.ts";
import { calendarDate, calendarFunctions } from "./calendar.ts";
import { withoutName } from "./drop-name.ts";
import { log10, log2, max, min } from "./go-math.ts";
import { emptySeries, merged, type Grid, type GridValue, type StepSeries } from "./grid.ts";
import { bucketFraction, bucketQuantile, overHistograms } from "./histogram.ts";

export interface CallContext {
  readonly grid: Grid;
  /** As written: `absent` names the labels that its selector asked for. */
  readonly args: readonly Expr[];
}

/** A function of values at every instant; those of range vectors are in `range-functions.ts`. */
export type PromFunction = (given: readonly GridValue[], context: CallContext) => GridValue;

const seriesOf = (value: GridValue | undefined): readonly StepSeries[] =>
  value?.type === "vector" ? value.series : [];
const scalarsOf = (value: GridValue | undefined): Float64Array => (value?.type === "scalar" ? value.values : NONE);
const NONE = new Float64Array();
const vector = (series: readonly StepSeries[]): GridValue => ({ type: "vector", series });

/** One value of each sample; the name goes, because it is no longer that metric. */
function each(list: readonly StepSeries[], f: (value: number, step: number) => number): GridValue {
  return vector(
    merged(
      list.map(({ labels, values, present }) => {
        const results = new Float64Array(values.length);
        for (let step = 0; step < values.length; step++)
          if (present[step] === 1) results[step] = f(values[step] as number, step);
        return { labels: withoutName(labels), values: results, present };
      }),
    ),
  );
}

const simple =
  (f: (value: number) => number): PromFunction =>
  ([value]) =>
    each(seriesOf(value), f);

type Bound = (given: readonly GridValue[], step: number) => number;

/** Nothing at instants where the bounds cross. */
const clamp =
  (low: Bound, high: Bound): PromFunction =>
  (given) => {
    const kept = seriesOf(given[0]).map(({ labels, values, present }) => ({
      labels,
      values,
      present: present.map((one, step) => (high(given, step) < low(given, step) ? 0 : one)),
    }));
    return each(kept, (value, step) => max(low(given, step), min(high(given, step), value)));
  };
const scalarOf =
  (index: number): Bound =>
  (given, step) =>
    scalarsOf(given[index])[step] as number;

/** In order at a single instant; a range has an order of its own. NaN comes last either way. */
const sorted =
  (sign: 1 | -1): PromFunction =>
  ([value], { grid }) => {
    if (grid.count !== 1) return vector(seriesOf(value));
    const order = (a: StepSeries, b: StepSeries) => {
      const [x, y] = [a.values[0] as number, b.values[0] as number];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    };
    return vector(seriesOf(value).toSorted(order));
  };

/** 1 at every instant where none of the series has a value. */
export function absence(list: readonly StepSeries[], labels: Labels, grid: Grid): GridValue {
  const result = emptySeries(labels, grid);
  for (let step = 0; step < grid.count; step++) {
    if (list.some(({ present }) => present[step] === 1)) continue;
    result.present[step] = 1;
    result.values[step] = 1;
  }
  return vector(merged([result]));
}

/** What a selector demands by `=`: a label that is asked for twice, or otherwise, has no one value. */
export function demandedLabels(expr: Expr | undefined): Labels {
  const matchers = expr?.kind === "selector" ? expr.matchers : expr?.kind === "matrix" ? expr.selector.matchers : [];
  const found = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, op, value } of matchers) {
    if (name === NAME) continue;
    if (op === "=" && !seen.has(name)) found.set(name, value);
    else found.delete(name);
    if (op === "=") seen.add(name);
  }
  return Object.fromEntries([...found].filter(([, value]) => value !== ""));
}

const calendar = Object.entries(calendarFunctions).map(([name, part]): [string, PromFunction] => [
  name,
  ([value], { grid }) => {
    if (value !== undefined) return each(seriesOf(value), (seconds) => part(calendarDate(seconds)));
    const result = emptySeries({}, grid);
    result.present.fill(1);
    result.values.set(times(grid).map((seconds) => part(calendarDate(Math.trunc(seconds)))));
    return vector([result]);
  },
]);

function times({ startMs, stepMs, count }: Grid): Float64Array {
  return Float64Array.from({ length: count }, (_, step) => (startMs + step * stepMs) / 1_000);
}

/** To the nearest multiple; halves go up. */
const round: PromFunction = ([value, to]) => {
  const nearest = scalarsOf(to);
  return each(seriesOf(value), (number, step) => {
    const inverse = 1 / (nearest[step] ?? 1);
    return Math.floor(number * inverse + 0.5) / inverse;
  });
};

const scalar: PromFunction = ([value], { grid }) => {
  const values = new Float64Array(grid.count).fill(NaN);
  const counts = new Uint32Array(grid.count);
  for (const series of seriesOf(value))
    for (let step = 0; step < grid.count; step++) {
      if (series.present[step] === 0) continue;
      values[step] = counts[step] === 0 ? (series.values[step] as number) : NaN;
      counts[step] = (counts[step] as number) + 1;
    }
  return { type: "scalar", values };
};

/** Functions without a range vector, by name. */
export const functions: Readonly<Record<string, PromFunction>> = {
  ...Object.fromEntries(calendar),
  abs: simple(Math.abs),
  ceil: simple(Math.ceil),
  floor: simple(Math.floor),
  sqrt: simple(Math.sqrt),
  exp: simple(Math.exp),
  ln: simple(Math.log),
  log2: simple(log2),
  log10: simple(log10),
  sgn: simple((value) => (value < 0 ? -1 : value > 0 ? 1 : value)),
  sin: simple(Math.sin),
  cos: simple(Math.cos),
  tan: simple(Math.tan),
  asin: simple(Math.asin),
  acos: simple(Math.acos),
  atan: simple(Math.atan),
  sinh: simple(Math.sinh),
  cosh: simple(Math.cosh),
  tanh: simple(Math.tanh),
  asinh: simple(Math.asinh),
  acosh: simple(Math.acosh),
  atanh: simple(Math.atanh),
  deg: simple((value) => (value * 180) / Math.PI),
  rad: simple((value) => (value * Math.PI) / 180),
  round,
  clamp: clamp(scalarOf(1), scalarOf(2)),
  clamp_min: clamp(scalarOf(1), () => Infinity),
  clamp_max: clamp(() => -Infinity, scalarOf(1)),
  sort: sorted(1),
  sort_desc: sorted(-1),
  absent: ([value], { args, grid }) => absence(seriesOf(value), demandedLabels(args[0]), grid),
  histogram_quantile: ([q, value], { grid }) =>
    vector(
      overHistograms(seriesOf(value), grid, (buckets, step) => bucketQuantile(scalarsOf(q)[step] as number, buckets)),
    ),
  histogram_fraction: ([lower, upper, value], { grid }) =>
    vector(
      overHistograms(seriesOf(value), grid, (buckets, step) =>
        bucketFraction(scalarsOf(lower)[step] as number, scalarsOf(upper)[step] as number, buckets),
      ),
    ),
  // Of native histograms, which cannot be stored: of everything else they make nothing.
  ...Object.fromEntries(
    ["avg", "count", "sum", "stddev", "stdvar"].map((name): [string, PromFunction] => [
      `histogram_${name}`,
      () => vector([]),
    ]),
  ),
  scalar,
  vector: ([value], { grid }) => {
    const result = emptySeries({}, grid);
    result.present.fill(1);
    result.values.set(scalarsOf(value));
    return vector([result]);
  },
  time: (_, { grid }) => ({ type: "scalar", values: times(grid) }),
  pi: (_, { grid }) => ({ type: "scalar", values: new Float64Array(grid.count).fill(Math.PI) }),
  // Of anything but a selector, whose samples have times of their own, it is the evaluation's time.
  timestamp: ([value], { grid }) => {
    const now = times(grid);
    return each(seriesOf(value), (_, step) => now[step] as number);
  },
};
