import { anchoredRegex, type AnchoredRegex } from "../regex.ts";
import { labelKey, NAME, type Labels } from "../labels.ts";
import type { Expr, ValueType } from "./ast.ts";
import { QueryError } from "./errors.ts";
import { histogramQuantile } from "./histogram.ts";
import { linearRegression, quantileOverTime, rangeFunctions } from "./range-functions.ts";
import { withoutName, type InstantSample, type RangeSeries, type Value } from "./value.ts";

export interface CallContext {
  readonly atMs: number;
  /** As written: `absent` names the labels that its selector asked for. */
  readonly args: readonly Expr[];
}

export interface PromFunction {
  readonly parameters: readonly ValueType[];
  /** Fewer may be given; default all. */
  readonly required?: number;
  /** The last parameter may be repeated. */
  readonly variadic?: true;
  readonly returns: ValueType;
  run(args: readonly Value[], context: CallContext): Value;
}

type Series = readonly RangeSeries[];

const vectorOf = (value: Value | undefined): readonly InstantSample[] =>
  value?.type === "vector" ? value.samples : [];
const scalarOf = (value: Value | undefined): number => (value?.type === "scalar" ? value.value : NaN);
const stringOf = (value: Value | undefined): string => (value?.type === "string" ? value.value : "");
const seriesOf = (value: Value | undefined): Series => (value?.type === "matrix" ? value.series : []);
const vector = (samples: readonly InstantSample[]): Value => ({ type: "vector", samples });

/** One value of each sample; the name goes, because it is no longer that metric. */
const each = (f: (value: number) => number): PromFunction => ({
  parameters: ["vector"],
  returns: "vector",
  run: ([samples]) =>
    vector(vectorOf(samples).map(({ labels, value }) => ({ labels: withoutName(labels), value: f(value) }))),
});

const KEEP_NAME: ReadonlySet<string> = new Set(["last_over_time", "first_over_time"]);

const overRange = Object.entries(rangeFunctions).map(([name, reduce]): [string, PromFunction] => [
  name,
  {
    parameters: ["matrix"],
    returns: "vector",
    run: ([range]) => {
      if (range?.type !== "matrix") return vector([]);
      return vector(
        range.series.flatMap((series) => {
          const value = reduce(series, range);
          const labels = KEEP_NAME.has(name) ? series.labels : withoutName(series.labels);
          return value === null ? [] : [{ labels, value }];
        }),
      );
    },
  },
]);

const clamp = (
  low: (args: readonly Value[]) => number,
  high: (args: readonly Value[]) => number,
  count: number,
): PromFunction => ({
  parameters: ["vector", ...Array.from({ length: count }, () => "scalar" as const)],
  returns: "vector",
  run: (args) => {
    const [min, max] = [low(args), high(args)];
    if (max < min) return vector([]);
    const limit = (value: number) =>
      Number.isNaN(min) || Number.isNaN(max) ? NaN : Math.max(min, Math.min(max, value));
    return vector(vectorOf(args[0]).map(({ labels, value }) => ({ labels: withoutName(labels), value: limit(value) })));
  },
});

const sorted = (sign: 1 | -1): PromFunction => ({
  parameters: ["vector"],
  returns: "vector",
  run: ([samples]) =>
    vector(
      vectorOf(samples).toSorted((a, b) => {
        if (Number.isNaN(a.value) || Number.isNaN(b.value))
          return Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
        return sign * (a.value - b.value);
      }),
    ),
});

/** What has no value: one sample labelled with what the selector demanded by `=`. */
const absent = (nothing: (value: Value | undefined) => boolean, parameter: ValueType): PromFunction => ({
  parameters: [parameter],
  returns: "vector",
  run: ([value], { args }) => vector(nothing(value) ? [{ labels: demandedLabels(args[0]), value: 1 }] : []),
});

function demandedLabels(expr: Expr | undefined): Labels {
  if (expr?.kind !== "selector") return {};
  const found = new Map<string, string | null>();
  for (const { name, op, value } of expr.matchers) {
    if (name === NAME) continue;
    // A label that is asked for twice, or otherwise than by `=`, has no one value.
    found.set(name, op === "=" && !found.has(name) ? value : null);
  }
  return Object.fromEntries(
    [...found].filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== ""),
  );
}

/** To the nearest multiple; halves go up. */
function roundTo(value: number, to: number): number {
  const inverse = 1 / to;
  return Math.floor(value * inverse + 0.5) / inverse;
}

function relabel(samples: readonly InstantSample[], change: (labels: Labels) => Labels): Value {
  const results = samples.map(({ labels, value }) => ({ labels: change(labels), value }));
  if (new Set(results.map(({ labels }) => labelKey(labels))).size !== results.length)
    throw new QueryError("execution", "vector cannot contain metrics with the same labelset");
  return vector(results);
}

function withLabel(labels: Labels, name: string, value: string): Labels {
  const { [name]: _, ...rest } = labels;
  return value === "" ? rest : { ...rest, [name]: value };
}

function labelReplace(args: readonly Value[]): Value {
  const [target, replacement, source, pattern] = args.slice(1).map(stringOf) as [string, string, string, string];
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(target))
    throw new QueryError("execution", `invalid destination label name in label_replace(): ${target}`);
  let regex: AnchoredRegex;
  try {
    regex = anchoredRegex(pattern);
  } catch {
    throw new QueryError("execution", `invalid regular expression in label_replace(): ${pattern}`);
  }
  return relabel(vectorOf(args[0]), (labels) => {
    const filled = regex.expand(labels[source] ?? "", replacement);
    return filled === null ? labels : withLabel(labels, target, filled);
  });
}

function labelJoin(args: readonly Value[]): Value {
  const [target, separator, ...sources] = args.slice(1).map(stringOf) as [string, string, ...string[]];
  return relabel(vectorOf(args[0]), (labels) =>
    withLabel(labels, target, sources.map((source) => labels[source] ?? "").join(separator)),
  );
}

/** Every function that is evaluated; what is not here is refused by name. */
export const functions: Readonly<Record<string, PromFunction | undefined>> = {
  ...Object.fromEntries(overRange),
  abs: each(Math.abs),
  ceil: each(Math.ceil),
  floor: each(Math.floor),
  sqrt: each(Math.sqrt),
  exp: each(Math.exp),
  ln: each(Math.log),
  log2: each(Math.log2),
  log10: each(Math.log10),
  sgn: each(Math.sign),
  round: {
    parameters: ["vector", "scalar"],
    required: 1,
    returns: "vector",
    run: ([samples, to]) =>
      vector(
        vectorOf(samples).map(({ labels, value }) => ({
          labels: withoutName(labels),
          value: roundTo(value, to === undefined ? 1 : scalarOf(to)),
        })),
      ),
  },
  clamp: clamp(
    (args) => scalarOf(args[1]),
    (args) => scalarOf(args[2]),
    2,
  ),
  clamp_min: clamp(
    (args) => scalarOf(args[1]),
    () => Infinity,
    1,
  ),
  clamp_max: clamp(
    () => -Infinity,
    (args) => scalarOf(args[1]),
    1,
  ),
  sort: sorted(1),
  sort_desc: sorted(-1),
  absent: absent((value) => vectorOf(value).length === 0, "vector"),
  absent_over_time: absent((value) => seriesOf(value).length === 0, "matrix"),
  histogram_quantile: {
    parameters: ["scalar", "vector"],
    returns: "vector",
    run: ([q, samples]) => vector(histogramQuantile(scalarOf(q), vectorOf(samples))),
  },
  quantile_over_time: {
    parameters: ["scalar", "matrix"],
    returns: "vector",
    run: ([q, range]) =>
      vector(
        seriesOf(range).flatMap((series) => {
          const value = quantileOverTime(scalarOf(q), series);
          return value === null ? [] : [{ labels: withoutName(series.labels), value }];
        }),
      ),
  },
  predict_linear: {
    parameters: ["matrix", "scalar"],
    returns: "vector",
    run: ([range, seconds], { atMs }) =>
      vector(
        seriesOf(range)
          .filter((series) => series.values.length >= 2)
          .map((series) => {
            const { slope, value } = linearRegression(series, atMs);
            return { labels: withoutName(series.labels), value: value + slope * scalarOf(seconds) };
          }),
      ),
  },
  label_replace: {
    parameters: ["vector", "string", "string", "string", "string"],
    returns: "vector",
    run: labelReplace,
  },
  label_join: {
    parameters: ["vector", "string", "string", "string"],
    required: 3,
    variadic: true,
    returns: "vector",
    run: labelJoin,
  },
  scalar: {
    parameters: ["vector"],
    returns: "scalar",
    run: ([samples]) => {
      const [first, ...others] = vectorOf(samples);
      return { type: "scalar", value: first === undefined || others.length > 0 ? NaN : first.value };
    },
  },
  vector: {
    parameters: ["scalar"],
    returns: "vector",
    run: ([value]) => vector([{ labels: {}, value: scalarOf(value) }]),
  },
  time: { parameters: [], returns: "scalar", run: (_, { atMs }) => ({ type: "scalar", value: atMs / 1_000 }) },
  pi: { parameters: [], returns: "scalar", run: () => ({ type: "scalar", value: Math.PI }) },
  timestamp: {
    parameters: ["vector"],
    returns: "vector",
    // The evaluator hands over the samples' own times as values where the argument is a plain selector.
    run: ([samples]) => vector(vectorOf(samples).map(({ labels, value }) => ({ labels: withoutName(labels), value }))),
  },
};
