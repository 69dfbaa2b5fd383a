import { labelKey, type Labels } from "./labels.ts";
import type { Storage } from "./storage.ts";
import { QueryError } from "./promql/errors.ts";
import { Evaluator } from "./promql/evaluate.ts";
import { parseQuery } from "./promql/parse.ts";
import { checkTypes } from "./promql/check.ts";
import type { InstantSample, Value } from "./promql/value.ts";

export interface RangeResult {
  readonly labels: Labels;
  /** Pairs of ms since the epoch and value. */
  readonly points: (readonly [number, number])[];
}

/** As Prometheus: finer than this is asked for by mistake. */
const MAX_POINTS = 11_000;
/** Evaluation is synchronous; between steps others get their turn this often. */
const TURN_MS = 20;

/** @throws QueryError */
export function queryInstant(storage: Storage, text: string, atMs: number): Value {
  return new Evaluator(storage, { startMs: atMs, endMs: atMs }).at(parseQuery(text), atMs);
}

/** What a rule makes of a result: a scalar is one sample without labels. @throws QueryError */
export function ruleSamples(value: Value): readonly InstantSample[] {
  if (value.type === "vector") return value.samples;
  if (value.type === "scalar") return [{ labels: {}, value: value.value }];
  throw new QueryError("execution", "rule result is not a vector or scalar");
}

/** @throws QueryError */
export async function queryRange(
  storage: Storage,
  text: string,
  { startMs, endMs, stepMs }: { readonly startMs: number; readonly endMs: number; readonly stepMs: number },
  limits: { readonly timeoutMs: number; monotonic(): number },
): Promise<readonly RangeResult[]> {
  if (endMs < startMs)
    throw new QueryError("bad_data", 'invalid parameter "end": end timestamp must not be before start time');
  if (stepMs <= 0)
    throw new QueryError(
      "bad_data",
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  if ((endMs - startMs) / stepMs > MAX_POINTS)
    throw new QueryError(
      "bad_data",
      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
  const expr = parseQuery(text);
  const type = checkTypes(expr, text);
  if (type !== "scalar" && type !== "vector")
    throw new QueryError(
      "bad_data",
      `invalid parameter "query": invalid expression type "${type === "matrix" ? "range vector" : type}" for range query, must be Scalar or instant Vector`,
    );
  const evaluator = new Evaluator(storage, { startMs, endMs });
  const series = new Map<string, RangeResult>();
  const began = limits.monotonic();
  let turn = began;
  for (let atMs = startMs; atMs <= endMs; atMs += stepMs) {
    const value = evaluator.at(expr, atMs);
    const samples = value.type === "vector" ? value.samples : value.type === "scalar" ? [{ labels: {}, ...value }] : [];
    for (const { labels, value: sample } of samples) {
      const key = labelKey(labels);
      const found = series.get(key) ?? { labels, points: [] };
      series.set(key, found);
      found.points.push([atMs, sample]);
    }
    const now = limits.monotonic();
    if (now - began > limits.timeoutMs) throw new QueryError("timeout", "query timed out in expression evaluation");
    if (now - turn > TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      turn = limits.monotonic();
    }
  }
  return [...series].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, result]) => result);
}
