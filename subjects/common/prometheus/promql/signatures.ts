import type { ValueType } from "./ast.ts";

export interface Signature {
  readonly args: readonly ValueType[];
  /** How many of the last argument: 0 exactly one, n up to n more or none, -1 any number (promql/parser/functions.go). */
  readonly variadic: number;
  readonly returns: ValueType;
}

const of = (names: string, args: readonly ValueType[], variadic = 0, returns: ValueType = "vector") =>
  names.split(" ").map((name) => [name, { args, variadic, returns }] as const);

/** Every function of Prometheus 3.5 that needs no feature flag. */
export const signatures: ReadonlyMap<string, Signature> = new Map<string, Signature>([
  ...of("abs absent ceil exp floor ln log10 log2 sgn sort sort_desc sqrt timestamp", ["vector"]),
  ...of("acos acosh asin asinh atan atanh cos cosh deg rad sin sinh tan tanh", ["vector"]),
  ...of("histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar", ["vector"]),
  ...of("day_of_month day_of_week day_of_year days_in_month hour minute month year", ["vector"], 1),
  ...of("absent_over_time avg_over_time count_over_time last_over_time max_over_time min_over_time", ["matrix"]),
  ...of("present_over_time stddev_over_time stdvar_over_time sum_over_time", ["matrix"]),
  ...of("changes delta deriv idelta increase irate rate resets", ["matrix"]),
  ...of("clamp", ["vector", "scalar", "scalar"]),
  ...of("clamp_max clamp_min", ["vector", "scalar"]),
  ...of("round", ["vector", "scalar"], 1),
  ...of("histogram_quantile", ["scalar", "vector"]),
  ...of("histogram_fraction", ["scalar", "scalar", "vector"]),
  ...of("quantile_over_time", ["scalar", "matrix"]),
  ...of("predict_linear", ["matrix", "scalar"]),
  ...of("label_replace", ["vector", "string", "string", "string", "string"]),
  ...of("label_join", ["vector", "string", "string", "string"], -1),
  ...of("vector", ["scalar"]),
  ...of("scalar", ["vector"], 0, "scalar"),
  ...of("pi time", [], 0, "scalar"),
]);

/** Behind `--enable-feature=promql-experimental-functions` there, which cannot be switched on here. */
export const experimental: ReadonlySet<string> = new Set([
  "double_exponential_smoothing",
  "info",
  "mad_over_time",
  "sort_by_label",
  "sort_by_label_desc",
  "ts_of_last_over_time",
  "ts_of_max_over_time",
  "ts_of_min_over_time",
]);
