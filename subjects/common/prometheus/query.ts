import { labelKey } from "./labels.ts";
import type { Labels } from "./labels.ts";
import { bare, type Expr } from "./promql/ast.ts";
import { Budget, type Limits } from "./promql/budget.ts";
import { typeOf } from "./promql/check.ts";
import { QueryError } from "./promql/errors.ts";
import { Evaluator, type Work } from "./promql/evaluate.ts";
import { gridOf } from "./promql/grid.ts";
import { parseQuery } from "./promql/parse.ts";
import type { SeriesSource } from "./promql/source.ts";
import type { InstantSample, Value } from "./promql/value.ts";

export interface QueryOptions extends Limits {
  /** `--query.lookback-delta`. */
  readonly lookbackMs: number;
  /** The step of `[5m:]`: the global evaluation interval. */
  readonly subqueryStepMs: number;
}

export interface RangeResult {
  readonly labels: Labels;
  /** Pairs of ms since the epoch and value. */
  readonly points: (readonly [number, number])[];
}

/** As Prometheus: finer than this is asked for by mistake. */
const MAX_POINTS = 11_000;

/** Lets others work whenever the query has worked for a while. */
async function inTurns<T>(work: Work<T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** @throws QueryError */
export function queryInstant(source: SeriesSource, text: string, atMs: number, options: QueryOptions): Promise<Value> {
  return inTurns(instantWork(source, text, atMs, options));
}

/** The same without letting others work in between: for rules, whose group is one instant. @throws QueryError */
export function queryInstantNow(source: SeriesSource, text: string, atMs: number, options: QueryOptions): Value {
  return atOnce(instantWork(source, text, atMs, options));
}

function* instantWork(source: SeriesSource, text: string, atMs: number, options: QueryOptions): Work<Value> {
  const expr = parseQuery(text);
  const evaluator = evaluatorOf(source, options, atMs, atMs);
  const inner = bare(expr);
  if (inner.kind === "matrix" || inner.kind === "subquery") {
    const series = yield* evaluator.matrix(inner, atMs);
    return { type: "matrix", series: sorted(series) };
  }
  const value = yield* evaluator.evaluate(expr, { startMs: atMs, stepMs: 1, count: 1 });
  if (value.type === "string") return value;
  if (value.type === "scalar") return { type: "scalar", value: value.values[0] as number };
  const present = value.series.filter((each) => each.present[0] === 1);
  return { type: "vector", samples: present.map(({ labels, values }) => ({ labels, value: values[0] as number })) };
}

function evaluatorOf(source: SeriesSource, options: QueryOptions, startMs: number, endMs: number): Evaluator {
  const { lookbackMs, subqueryStepMs } = options;
  return new Evaluator(source, { startMs, endMs, lookbackMs, subqueryStepMs, budget: new Budget(options) });
}

function sorted<T extends { readonly labels: Labels }>(list: readonly T[]): T[] {
  return list
    .map((each) => [labelKey(each.labels), each] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, each]) => each);
}

/** What a rule makes of a result: a scalar is one sample without labels. @throws QueryError */
export function ruleSamples(value: Value): readonly InstantSample[] {
  if (value.type === "vector") return value.samples;
  if (value.type === "scalar") return [{ labels: {}, value: value.value }];
  throw new QueryError("execution", "rule result is not a vector or scalar");
}

export interface QueryRange {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

/** @throws QueryError */
export async function queryRange(
  source: SeriesSource,
  text: string,
  range: QueryRange,
  options: QueryOptions,
): Promise<readonly RangeResult[]> {
  const { startMs, endMs, stepMs } = range;
  if (endMs < startMs) throw bad('invalid parameter "end": end timestamp must not be before start time');
  if (stepMs <= 0)
    throw bad(
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  if ((endMs - startMs) / stepMs > MAX_POINTS)
    throw bad(
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
  const expr = rangeExpr(text);
  const grid = gridOf(startMs, endMs, stepMs);
  const value = await inTurns(evaluatorOf(source, options, startMs, endMs).evaluate(expr, grid));
  const timeOf = (step: number) => startMs + step * stepMs;
  if (value.type === "scalar")
    return [{ labels: {}, points: Array.from(value.values, (each, step) => [timeOf(step), each] as const) }];
  const results = (value.type === "vector" ? value.series : []).map(({ labels, values, present }) => {
    const points: (readonly [number, number])[] = [];
    for (let step = 0; step < grid.count; step++)
      if (present[step] === 1) points.push([timeOf(step), values[step] as number]);
    return { labels, points };
  });
  return sorted(results);
}

function rangeExpr(text: string): Expr {
  const expr = parseQuery(text);
  const type = typeOf(expr);
  if (type === "scalar" || type === "vector") return expr;
  throw bad(
    `invalid parameter "query": invalid expression type "${type === "matrix" ? "range vector" : type}" for range query, must be Scalar or instant Vector`,
  );
}

function bad(what: string): QueryError {
  return new QueryError("bad_data", what);
}
