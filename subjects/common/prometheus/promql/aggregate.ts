import { labelKey, NAME, only, without, type Labels } from "../labels.ts";
import type { Aggregate } from "./ast.ts";
import { QueryError } from "./errors.ts";
import { quantileOf } from "./quantile.ts";
import { mean, sum, variance } from "./range-functions.ts";
import { formatValue, type InstantSample } from "./value.ts";

type Spec = Pick<Aggregate, "op" | "without" | "labels">;

interface Group {
  readonly labels: Labels;
  readonly samples: InstantSample[];
}

/** One vector -> one sample per group, or for `topk` and `bottomk` some of the group's own. */
export function aggregate(
  spec: Spec,
  param: number | string | null,
  samples: readonly InstantSample[],
): InstantSample[] {
  const groups = [...grouped(spec, samples).values()];
  switch (spec.op) {
    case "topk":
    case "bottomk": {
      const k = kOf(param);
      return groups.flatMap((group) => extremes(group.samples, k, spec.op === "topk"));
    }
    case "count_values":
      return groups.flatMap((group) => countValues(group, String(param)));
    default:
      return groups.map(({ labels, samples: members }) => ({
        labels,
        value: reduce(
          spec.op,
          members.map((member) => member.value),
          param,
        ),
      }));
  }
}

function grouped(spec: Spec, samples: readonly InstantSample[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const sample of samples) {
    const labels = spec.without ? without(sample.labels, [...spec.labels, NAME]) : only(sample.labels, spec.labels);
    const key = labelKey(labels);
    const group = groups.get(key) ?? { labels, samples: [] };
    groups.set(key, group);
    group.samples.push(sample);
  }
  return groups;
}

function reduce(op: Spec["op"], values: readonly number[], param: number | string | null): number {
  const all = Float64Array.from(values);
  switch (op) {
    case "sum":
      return sum(all);
    case "avg":
      return mean(all);
    case "count":
      return all.length;
    case "group":
      return 1;
    case "min":
      return all.reduce((best, value) => (value < best || Number.isNaN(best) ? value : best));
    case "max":
      return all.reduce((best, value) => (value > best || Number.isNaN(best) ? value : best));
    case "stddev":
      return Math.sqrt(variance(all));
    case "stdvar":
      return variance(all);
    case "quantile":
      return quantileOf(Number(param), values);
    default:
      throw new TypeError(`no reduction for ${op}`);
  }
}

/** NaN comes last either way. */
function extremes(samples: readonly InstantSample[], k: number, largest: boolean): InstantSample[] {
  const order = (a: InstantSample, b: InstantSample) => {
    if (Number.isNaN(a.value) || Number.isNaN(b.value))
      return Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
    return largest ? b.value - a.value : a.value - b.value;
  };
  return samples.toSorted(order).slice(0, k);
}

function kOf(param: number | string | null): number {
  const k = Number(param);
  if (Number.isNaN(k)) throw new QueryError("execution", "Parameter value is NaN");
  return Math.max(0, Math.trunc(k));
}

function countValues({ labels, samples }: Group, name: string): InstantSample[] {
  const counts = Map.groupBy(samples, (sample) => formatValue(sample.value));
  return [...counts].map(([value, members]) => ({ labels: { ...labels, [name]: value }, value: members.length }));
}
