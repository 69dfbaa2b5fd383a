import { aggregate, countValues } from "./aggregate.ts";
import {
  bare,
  type Aggregate,
  type Call,
  type Expr,
  type MatrixSelector,
  type Selector,
  type Subquery,
} from "./ast.ts";
import { binary } from "./binary.ts";
import type { Budget } from "./budget.ts";
import { withoutName } from "./drop-name.ts";
import { absence, demandedLabels, functions } from "./functions.ts";
import { distinct, gridOf, merged, type Grid, type GridValue, type StepSeries } from "./grid.ts";
import { isInvariant } from "./invariant.ts";
import { labelFunctions, relabelled } from "./label-functions.ts";
import { rangeFunctions } from "./range-functions.ts";
import { instantSeries, overWindows, rangeInput, subqueryInput, type RangeInput, type Shift } from "./selectors.ts";
import type { SeriesSource } from "./source.ts";

export interface EvaluationOptions {
  /** The ends of the query's range, for `@ start()` and `@ end()`. */
  readonly startMs: number;
  readonly endMs: number;
  /** How far an instant selector looks back. */
  readonly lookbackMs: number;
  /** Of `[5m:]`: the global evaluation interval. */
  readonly subqueryStepMs: number;
  readonly budget: Budget;
}

/** Hands over to others when it yields. */
export type Work<T> = Generator<void, T, void>;

/**
 * One query over one source. Every part of an expression is evaluated for all instants at once, as promql/engine.go
 * does: labels and series are looked at once, however many instants there are.
 */
export class Evaluator {
  readonly #source: SeriesSource;
  readonly #options: EvaluationOptions;

  constructor(source: SeriesSource, options: EvaluationOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** @throws QueryError `execution`, `timeout` */
  *evaluate(expr: Expr, grid: Grid): Work<GridValue> {
    if (grid.count <= 1 || expr.kind === "number" || !isInvariant(expr)) return yield* this.#node(expr, grid);
    return repeated(yield* this.#node(expr, { ...grid, count: 1 }), grid);
  }

  /** The samples of a range vector at one instant. */
  *matrix(expr: MatrixSelector | Subquery, atMs: number): Work<readonly RangeInput[]> {
    const grid = { startMs: atMs, stepMs: 1, count: 1 };
    const [shift, toMs] = [this.#shift(expr), this.#shift(expr)(atMs)];
    const inputs = yield* this.#inputs(expr, grid, shift);
    return inputs.flatMap(({ labels, times, values }) => {
      const kept = (timeMs: number) => timeMs > toMs - Math.trunc(expr.rangeMs) && timeMs <= toMs;
      const of = values.filter((_, index) => kept(times[index] as number));
      return of.length === 0 ? [] : [{ labels, times: times.filter(kept), values: of }];
    });
  }

  *#node(expr: Expr, grid: Grid): Work<GridValue> {
    yield* this.#turn();
    switch (expr.kind) {
      case "number":
        return { type: "scalar", values: new Float64Array(grid.count).fill(expr.value) };
      case "string":
        return { type: "string", value: expr.value };
      case "paren":
        return yield* this.evaluate(expr.expr, grid);
      case "unary": {
        const value = yield* this.evaluate(expr.expr, grid);
        return expr.op === "-" ? negated(value) : value;
      }
      case "selector":
        return { type: "vector", series: yield* this.#instant(expr, grid, this.#shift(expr), false) };
      case "call":
        return yield* this.#call(expr, grid);
      case "binary": {
        const left = yield* this.evaluate(expr.left, grid);
        const right = yield* this.evaluate(expr.right, grid);
        return binary(expr, left, right, grid);
      }
      case "aggregate":
        return yield* this.#aggregate(expr, grid);
      case "matrix":
      case "subquery":
        throw new TypeError("a range vector has no value at an instant");
    }
  }

  *#turn(): Work<void> {
    const { budget } = this.#options;
    if (!budget.due()) return;
    yield;
    budget.resume();
  }

  #shift({ at, offsetMs }: Pick<Selector, "at" | "offsetMs">): Shift {
    const offset = Math.trunc(offsetMs);
    if (at === null) return (atMs) => atMs - offset;
    const fixed = at === "start" ? this.#options.startMs : at === "end" ? this.#options.endMs : at;
    return () => fixed - offset;
  }

  *#instant(selector: Selector, grid: Grid, shift: Shift, timestamps: boolean): Work<StepSeries[]> {
    const { lookbackMs, budget } = this.#options;
    const found: StepSeries[] = [];
    for (const series of this.#source.select(selector.matchers)) {
      const result = instantSeries(series, grid, { shift, lookbackMs, timestamps });
      if (!result.present.includes(1)) continue;
      budget.samples(grid.count);
      found.push(result);
      yield* this.#turn();
    }
    return found;
  }

  *#aggregate(expr: Aggregate, grid: Grid): Work<GridValue> {
    const given = expr.param === null ? null : yield* this.evaluate(bare(expr.param), grid);
    const inner = yield* this.evaluate(expr.expr, grid);
    const series = inner.type === "vector" ? inner.series : [];
    if (given?.type === "string") return { type: "vector", series: countValues(expr, given.value, series, grid) };
    const params = given?.type === "scalar" ? given.values : null;
    return { type: "vector", series: aggregate(expr, params, series, grid) };
  }

  *#call(expr: Call, grid: Grid): Work<GridValue> {
    const args = expr.args.map(bare);
    const [first] = args;
    if (expr.name === "timestamp" && first?.kind === "selector") {
      // As there, an offset beside `@` does not count here.
      const shift = this.#shift(first.at === null ? first : { ...first, offsetMs: 0 });
      return { type: "vector", series: merged(yield* this.#instant(first, grid, shift, true)) };
    }
    const range = args.find((each) => each.kind === "matrix" || each.kind === "subquery");
    if (range !== undefined) return yield* this.#rangeCall(expr.name, args, range, grid);
    const given: GridValue[] = [];
    for (const argument of args) given.push(yield* this.evaluate(argument, grid));
    const relabel = labelFunctions[expr.name];
    if (relabel !== undefined) {
      const [vector, ...texts] = given;
      const change = relabel(texts.map((text) => (text.type === "string" ? text.value : "")));
      return { type: "vector", series: relabelled(vector?.type === "vector" ? vector.series : [], change) };
    }
    const run = functions[expr.name];
    if (run === undefined) throw new TypeError(`unchecked function ${expr.name}`);
    return run(given, { grid, args });
  }

  *#rangeCall(name: string, args: readonly Expr[], range: MatrixSelector | Subquery, grid: Grid): Work<GridValue> {
    const run = rangeFunctions[name];
    if (run === undefined) throw new TypeError(`unchecked function ${name}`);
    const other = args.find((argument) => argument !== range);
    const given = other === undefined ? null : yield* this.evaluate(other, grid);
    const scalars = given?.type === "scalar" ? given.values : null;
    const shift = this.#shift(range);
    const results: StepSeries[] = [];
    for (const input of yield* this.#inputs(range, grid, shift)) {
      const result = overWindows(input, grid, run, { shift, rangeMs: range.rangeMs, scalars });
      if (!result.present.includes(1)) continue;
      this.#options.budget.samples(grid.count);
      results.push(name === "last_over_time" ? result : { ...result, labels: withoutName(result.labels) });
      yield* this.#turn();
    }
    if (name === "absent_over_time") return absence(results, demandedLabels(range), grid);
    return { type: "vector", series: distinct(results) };
  }

  /** All samples that any window of the grid can ask for. */
  *#inputs(range: MatrixSelector | Subquery, grid: Grid, shift: Shift): Work<readonly RangeInput[]> {
    const rangeMs = Math.trunc(range.rangeMs);
    const [first, last] = [shift(grid.startMs), shift(grid.startMs + (grid.count - 1) * grid.stepMs)];
    if (range.kind === "subquery") return yield* this.#subquery(range, first - rangeMs, last);
    const inputs: RangeInput[] = [];
    for (const series of this.#source.select(range.selector.matchers)) {
      const samples = series.between(first - rangeMs, last);
      this.#options.budget.samples(samples.times.length);
      if (samples.times.length > 0) inputs.push(rangeInput(series.labels, samples));
      yield* this.#turn();
    }
    return inputs;
  }

  /** Evaluated at multiples of the step, so that neighbouring queries see the same instants. */
  *#subquery({ expr, stepMs }: Subquery, afterMs: number, toMs: number): Work<readonly RangeInput[]> {
    const step = Math.trunc(stepMs ?? this.#options.subqueryStepMs);
    const aligned = step * Math.trunc(afterMs / step);
    const inner = gridOf(aligned <= afterMs ? aligned + step : aligned, toMs, step);
    if (inner.count === 0) return [];
    const value = yield* this.evaluate(expr, inner);
    const series = value.type === "vector" ? value.series : [];
    return series.map((each) => subqueryInput(each, inner)).filter(({ times }) => times.length > 0);
  }
}

function repeated(value: GridValue, { count }: Grid): GridValue {
  if (value.type === "scalar")
    return { type: "scalar", values: new Float64Array(count).fill(value.values[0] as number) };
  if (value.type === "string") return value;
  const series = value.series.map(({ labels, values, present }) => ({
    labels,
    values: new Float64Array(count).fill(values[0] as number),
    present: new Uint8Array(count).fill(present[0] as number),
  }));
  return { type: "vector", series };
}

function negated(value: GridValue): GridValue {
  if (value.type === "scalar") return { type: "scalar", values: value.values.map((each) => -each) };
  if (value.type !== "vector") throw new TypeError("unchecked operand");
  const series = value.series.map(({ labels, values, present }) => ({
    labels: withoutName(labels),
    values: values.map((each) => -each),
    present,
  }));
  return { type: "vector", series: distinct(series) };
}
