import type { Storage } from "../storage.ts";
import type { Series } from "../series.ts";
import { labelKey } from "../labels.ts";
import { aggregate } from "./aggregate.ts";
import type { Expr, Selector, Subquery } from "./ast.ts";
import { binary } from "./binary.ts";
import { QueryError } from "./errors.ts";
import { functions } from "./functions.ts";
import { withoutName, type InstantSample, type RangeSeries, type Value } from "./value.ts";

/** How far an instant selector looks back; Prometheus' default. */
const LOOKBACK_MS = 300_000;
/** Prometheus' default `evaluation_interval`, the step of `[5m:]`. */
const SUBQUERY_STEP_MS = 60_000;
/** Prometheus' `--query.max-samples`. */
const MAX_SAMPLES = 50_000_000;

/** One query over one storage: series are selected once, however many steps it has. */
export class Evaluator {
  readonly #storage: Pick<Storage, "select">;
  /** The ends of the query's range, for `@ start()` and `@ end()`. */
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #selected = new Map<Selector, readonly Series[]>();
  #samples = 0;

  constructor(storage: Pick<Storage, "select">, range: { readonly startMs: number; readonly endMs: number }) {
    this.#storage = storage;
    this.#startMs = range.startMs;
    this.#endMs = range.endMs;
  }

  /** The value at one instant. @throws QueryError `execution` */
  at(expr: Expr, atMs: number): Value {
    switch (expr.kind) {
      case "number":
      case "string":
        return expr.kind === "number" ? { type: "scalar", value: expr.value } : { type: "string", value: expr.value };
      case "selector":
        return this.#instant(expr, atMs);
      case "matrix":
        return this.#range({ ...expr.selector, offsetMs: expr.offsetMs, at: expr.at }, expr.rangeMs, atMs);
      case "paren":
        return this.at(expr.expr, atMs);
      case "subquery":
        return this.#subquery(expr, atMs);
      case "unary":
        return expr.op === "+" ? this.at(expr.expr, atMs) : negated(this.at(expr.expr, atMs));
      case "call":
        return this.#call(expr, atMs);
      case "binary":
        return binary(expr, this.at(expr.left, atMs), this.at(expr.right, atMs));
      case "aggregate": {
        const inner = this.at(expr.expr, atMs);
        const given = expr.param === null ? null : this.at(expr.param, atMs);
        const param = given?.type === "scalar" || given?.type === "string" ? given.value : null;
        return { type: "vector", samples: aggregate(expr, param, inner.type === "vector" ? inner.samples : []) };
      }
    }
  }

  #call({ name, args }: Extract<Expr, { kind: "call" }>, atMs: number): Value {
    const [first] = args;
    if (name === "timestamp" && first?.kind === "selector") return this.#instant(first, atMs, true);
    const values = args.map((argument) => this.at(argument, atMs));
    const run = functions[name]?.run;
    if (run === undefined) throw new TypeError(`unchecked function ${name}`);
    return unique(run(values, { atMs, args }));
  }

  #when({ at, offsetMs }: Selector | Subquery, atMs: number): number {
    const base = at === null ? atMs : at === "start" ? this.#startMs : at === "end" ? this.#endMs : at;
    return base - offsetMs;
  }

  #series(selector: Selector): readonly Series[] {
    let series = this.#selected.get(selector);
    if (series === undefined) this.#selected.set(selector, (series = this.#storage.select(selector.matchers)));
    return series;
  }

  #instant(selector: Selector, atMs: number, timestamps = false): Value {
    const when = this.#when(selector, atMs);
    const samples: InstantSample[] = [];
    for (const series of this.#series(selector)) {
      const sample = series.latest(when - LOOKBACK_MS, when);
      if (sample === null) continue;
      if (timestamps) samples.push({ labels: withoutName(series.labels), value: sample.timeMs / 1_000 });
      else samples.push({ labels: series.labels, value: sample.value });
    }
    this.#count(samples.length);
    return { type: "vector", samples };
  }

  #range(selector: Selector, rangeMs: number, atMs: number): Value {
    const toMs = this.#when(selector, atMs);
    const fromMs = toMs - rangeMs;
    const found: RangeSeries[] = [];
    for (const series of this.#series(selector)) {
      const { times, values } = series.range(fromMs, toMs);
      if (times.length > 0) found.push({ labels: series.labels, times, values });
      this.#count(times.length);
    }
    return { type: "matrix", series: found, fromMs, toMs };
  }

  /** Evaluated at multiples of the step, so that neighbouring queries see the same instants. */
  #subquery(expr: Subquery, atMs: number): Value {
    const toMs = this.#when(expr, atMs);
    const fromMs = toMs - expr.rangeMs;
    const stepMs = expr.stepMs ?? SUBQUERY_STEP_MS;
    const found = new Map<string, { labels: InstantSample["labels"]; times: number[]; values: number[] }>();
    for (let when = (Math.floor(fromMs / stepMs) + 1) * stepMs; when <= toMs; when += stepMs) {
      const value = this.at(expr.expr, when);
      for (const { labels, value: sample } of value.type === "vector" ? value.samples : []) {
        const key = labelKey(labels);
        const series = found.get(key) ?? { labels, times: [], values: [] };
        found.set(key, series);
        series.times.push(when);
        series.values.push(sample);
      }
    }
    return { type: "matrix", series: [...found.values()], fromMs, toMs };
  }

  #count(samples: number): void {
    this.#samples += samples;
    if (this.#samples > MAX_SAMPLES)
      throw new QueryError("execution", "query processing would load too many samples into memory in query execution");
  }
}

function negated(value: Value): Value {
  if (value.type === "scalar") return { type: "scalar", value: -value.value };
  if (value.type !== "vector") throw new TypeError("unchecked operand");
  return unique({
    type: "vector",
    samples: value.samples.map(({ labels, value: sample }) => ({ labels: withoutName(labels), value: -sample })),
  });
}

/** Dropping the name can make two series one. */
function unique(value: Value): Value {
  if (value.type !== "vector") return value;
  const keys = new Set(value.samples.map(({ labels }) => labelKey(labels)));
  if (keys.size === value.samples.length) return value;
  throw new QueryError("execution", "vector cannot contain metrics with the same labelset");
}
