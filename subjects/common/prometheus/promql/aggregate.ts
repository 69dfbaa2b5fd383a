import { formatFixed } from "../go-format.ts";
import { labelKey, NAME, only, without, type Labels } from "../labels.ts";
import type { Aggregate } from "./ast.ts";
import { QueryError } from "./errors.ts";
import { KahanSum, Mean } from "./go-math.ts";
import { emptySeries, merged, type Grid, type StepSeries } from "./grid.ts";
import { quoted } from "./lexer.ts";
import { quantileOf } from "./quantile.ts";
import { extremes } from "./top.ts";

type Spec = Pick<Aggregate, "op" | "without" | "labels">;

interface Group {
  readonly labels: Labels;
  readonly members: StepSeries[];
}

/**
 * Groups of series as one series each, or for `topk` and `bottomk` as some of the group's own. `params` is the number of
 * `topk`, `bottomk` and `quantile` at every instant.
 *
 * @throws QueryError `execution`
 */
export function aggregate(
  spec: Spec,
  params: Float64Array | null,
  series: readonly StepSeries[],
  grid: Grid,
): readonly StepSeries[] {
  const groups = [...grouped(spec, series).values()];
  if (spec.op === "topk" || spec.op === "bottomk")
    return extremes(
      groups.map(({ members }) => members),
      params ?? new Float64Array(grid.count),
      { largest: spec.op === "topk", seriesCount: series.length },
      grid,
    );
  return groups.map((group) => reduced(spec.op, group, params, grid)).filter(({ present }) => present.includes(1));
}

function groupLabels({ labels, without: all }: Spec, of: Labels): Labels {
  return all ? without(of, [...labels, NAME]) : only(of, labels);
}

function grouped(spec: Spec, list: readonly StepSeries[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const series of list) {
    const labels = groupLabels(spec, series.labels);
    const key = labelKey(labels);
    const group = groups.get(key) ?? { labels, members: [] };
    groups.set(key, group);
    group.members.push(series);
  }
  return groups;
}

function reduced(op: Spec["op"], { labels, members }: Group, params: Float64Array | null, grid: Grid): StepSeries {
  const result = emptySeries(labels, grid);
  const buffer = new Float64Array(members.length);
  for (let step = 0; step < grid.count; step++) {
    let count = 0;
    for (const { values, present } of members) if (present[step] === 1) buffer[count++] = values[step] as number;
    if (count === 0) continue;
    result.present[step] = 1;
    result.values[step] = reduce(op, buffer.subarray(0, count), params?.[step] ?? NaN);
  }
  return result;
}

function reduce(op: Spec["op"], values: Float64Array, param: number): number {
  switch (op) {
    case "sum":
      return sum(values).total;
    case "avg":
      return average(values);
    case "count":
      return values.length;
    case "group":
      return 1;
    case "min":
      return values.reduce((best, value) => (value < best || Number.isNaN(best) ? value : best));
    case "max":
      return values.reduce((best, value) => (value > best || Number.isNaN(best) ? value : best));
    case "stddev":
      return Math.sqrt(variance(values));
    case "stdvar":
      return variance(values);
    case "quantile":
      return quantileOf(param, values);
    default:
      throw new TypeError(`no reduction for ${op}`);
  }
}

function sum(values: Float64Array): KahanSum {
  const all = new KahanSum(values[0]);
  for (let index = 1; index < values.length; index++) all.add(values[index] as number);
  return all;
}

function average(values: Float64Array): number {
  const mean = new Mean(values[0] as number);
  for (let index = 1; index < values.length; index++) mean.add(values[index] as number);
  return mean.value;
}

/** Welford's, as promql/engine.go: one infinite or undefined value first of all makes the whole undefined. */
function variance(values: Float64Array): number {
  let mean = values[0] as number;
  let squares = Number.isFinite(mean) ? 0 : NaN;
  for (let index = 1; index < values.length; index++) {
    const value = values[index] as number;
    const delta = value - mean;
    mean += delta / (index + 1);
    squares += delta * (value - mean);
  }
  return squares / values.length;
}

/** How many series of a group have each value, under a label that shows it. @throws QueryError */
export function countValues(spec: Spec, label: string, list: readonly StepSeries[], grid: Grid): readonly StepSeries[] {
  if (label === "") throw new QueryError("execution", `invalid label name ${quoted(label)}`);
  const grouping = spec.without ? spec : { ...spec, labels: [...spec.labels, label] };
  const counts = new Map<string, StepSeries>();
  for (const { labels, values, present } of list)
    for (let step = 0; step < grid.count; step++) {
      if (present[step] === 0) continue;
      const own = groupLabels(grouping, { ...labels, [label]: formatFixed(values[step] as number) });
      const key = labelKey(own);
      const result = counts.get(key) ?? emptySeries(own, grid);
      counts.set(key, result);
      result.present[step] = 1;
      result.values[step] = (result.values[step] as number) + 1;
    }
  return merged([...counts.values()]);
}
