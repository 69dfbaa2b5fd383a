import { changed, labelKey, labelValue, NAME, only, showLabels, without, type Labels } from "../labels.ts";
import { COMPARISONS, type Binary, type BinaryOp, type VectorMatching } from "./ast.ts";
import { withoutName } from "./drop-name.ts";
import { QueryError } from "./errors.ts";
import { pow } from "./go-math.ts";
import { emptySeries, merged, sameLabels, type Grid, type GridValue, type StepSeries } from "./grid.ts";

/** Arithmetic gives a value; a comparison says whether the left value stays. */
const ARITHMETIC: Readonly<Partial<Record<BinaryOp, (a: number, b: number) => number>>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": pow,
  atan2: Math.atan2,
};
const COMPARISON: Readonly<Partial<Record<BinaryOp, (a: number, b: number) => boolean>>> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

type Spec = Pick<Binary, "op" | "bool" | "matching">;

/** Both sides have the types that the check allowed. @throws QueryError `execution` */
export function binary(spec: Spec, left: GridValue, right: GridValue, grid: Grid): GridValue {
  if (left.type === "scalar" && right.type === "scalar")
    return { type: "scalar", values: left.values.map((a, step) => scalar(spec.op, a, right.values[step] as number)) };
  if (left.type === "vector" && right.type === "scalar")
    return { type: "vector", series: withScalar(spec, left.series, right.values, grid, false) };
  if (left.type === "scalar" && right.type === "vector")
    return { type: "vector", series: withScalar(spec, right.series, left.values, grid, true) };
  if (left.type !== "vector" || right.type !== "vector") throw new TypeError("unexpected operand types");
  if (spec.op === "and" || spec.op === "or" || spec.op === "unless")
    return { type: "vector", series: setOperation(spec, left.series, right.series, grid) };
  return { type: "vector", series: new Matching(spec, grid).run(left.series, right.series) };
}

function scalar(op: BinaryOp, a: number, b: number): number {
  return ARITHMETIC[op]?.(a, b) ?? Number(COMPARISON[op]?.(a, b));
}

function withScalar(
  { op, bool }: Spec,
  list: readonly StepSeries[],
  scalars: Float64Array,
  grid: Grid,
  scalarIsLeft: boolean,
): StepSeries[] {
  const [arithmetic, comparison] = [ARITHMETIC[op], COMPARISON[op]];
  return merged(
    list.map((series) => {
      const result = emptySeries(arithmetic !== undefined || bool ? withoutName(series.labels) : series.labels, grid);
      for (let step = 0; step < grid.count; step++) {
        if (series.present[step] === 0) continue;
        const [value, other] = [series.values[step] as number, scalars[step] as number];
        const [a, b] = scalarIsLeft ? [other, value] : [value, other];
        const holds = comparison?.(a, b) === true;
        if (comparison !== undefined && !bool && !holds) continue;
        result.present[step] = 1;
        // A filter keeps the vector's own value, on whichever side it stands.
        result.values[step] = arithmetic !== undefined ? arithmetic(a, b) : bool ? Number(holds) : value;
      }
      return result;
    }),
  );
}

function signatureOf({ on, labels }: VectorMatching): (of: Labels) => string {
  return on ? (of) => labelKey(only(of, labels)) : (of) => labelKey(without(of, [...labels, NAME]));
}

/** Numbers instead of signatures: the same number on both sides for the same signature. */
class Signatures {
  readonly #of: (labels: Labels) => string;
  readonly #numbers = new Map<string, number>();

  constructor(matching: VectorMatching) {
    this.#of = signatureOf(matching);
  }

  get count(): number {
    return this.#numbers.size;
  }

  numbers(list: readonly StepSeries[]): number[] {
    return list.map(({ labels }) => {
      const key = this.#of(labels);
      const number = this.#numbers.get(key) ?? this.#numbers.size;
      this.#numbers.set(key, number);
      return number;
    });
  }
}

function setOperation(
  { op, matching }: Spec,
  left: readonly StepSeries[],
  right: readonly StepSeries[],
  grid: Grid,
): StepSeries[] {
  const signatures = new Signatures(matching);
  const [leftNumbers, rightNumbers] = [signatures.numbers(left), signatures.numbers(right)];
  const [there, numbers] = op === "or" ? [left, leftNumbers] : [right, rightNumbers];
  const known = Array.from({ length: signatures.count }, () => new Uint8Array(grid.count));
  there.forEach(({ present }, index) => {
    const flags = known[numbers[index] as number] as Uint8Array;
    for (let step = 0; step < grid.count; step++) if (present[step] === 1) flags[step] = 1;
  });
  const kept = (list: readonly StepSeries[], of: readonly number[], wanted: 0 | 1) =>
    list.map(({ labels, values, present }, index) => {
      const flags = known[of[index] as number] as Uint8Array;
      return { labels, values, present: present.map((one, step) => (flags[step] === wanted ? one : 0)) };
    });
  if (op === "or") return merged([...left, ...kept(right, rightNumbers, 0)]);
  return merged(kept(left, leftNumbers, op === "and" ? 1 : 0));
}

/** Series of both sides with equal signatures, instant by instant: `VectorBinop` of promql/engine.go. */
class Matching {
  readonly #spec: Spec;
  readonly #grid: Grid;
  /** Results by labels, and which of them a pair of series gives. */
  readonly #results = new Map<string, { readonly series: StepSeries; readonly number: number }>();
  readonly #pairs = new Map<number, { readonly series: StepSeries; readonly number: number }>();

  constructor(spec: Spec, grid: Grid) {
    this.#spec = spec;
    this.#grid = grid;
  }

  run(left: readonly StepSeries[], right: readonly StepSeries[]): StepSeries[] {
    const swapped = this.#spec.matching.group === "right";
    const [many, one] = swapped ? [right, left] : [left, right];
    const signatures = new Signatures(this.#spec.matching);
    const [manyNumbers, oneNumbers] = [signatures.numbers(many), signatures.numbers(one)];
    const partner = new Int32Array(signatures.count);
    const matched = new Int32Array(signatures.count).fill(-1);
    for (let step = 0; step < this.#grid.count; step++) {
      if (!many.some(({ present }) => present[step] === 1) || !one.some(({ present }) => present[step] === 1)) continue;
      this.#partners(one, oneNumbers, partner.fill(-1), step);
      const taken = new Map<number, number>();
      for (let index = 0; index < many.length; index++) {
        const signature = manyNumbers[index] as number;
        const other = partner[signature] as number;
        const mine = many[index] as StepSeries;
        if (mine.present[step] === 0 || other === -1) continue;
        const theirs = one[other] as StepSeries;
        const value = this.#value(mine.values[step] as number, theirs.values[step] as number, swapped);
        if (value === null) continue;
        const { series, number } = this.#result(index * one.length + other, mine, theirs);
        if (this.#spec.matching.group === null) {
          if (matched[signature] === step)
            throw failure("many-to-one matching must be explicit (group_left/group_right)");
          matched[signature] = step;
        } else if (taken.get(number) === signature) throw failure("grouping labels must ensure unique matches");
        if (taken.has(number)) throw sameLabels();
        taken.set(number, signature);
        series.present[step] = 1;
        series.values[step] = value;
      }
    }
    return [...this.#results.values()].map(({ series }) => series);
  }

  /** Which series of the one side has each signature at an instant. */
  #partners(one: readonly StepSeries[], numbers: readonly number[], partner: Int32Array, step: number): void {
    const { matching } = this.#spec;
    for (let index = 0; index < one.length; index++) {
      const { labels, present } = one[index] as StepSeries;
      if (present[step] === 0) continue;
      const signature = numbers[index] as number;
      const other = one[partner[signature] as number];
      if (other !== undefined) {
        const group = matching.on ? only(labels, matching.labels) : without(labels, [...matching.labels, NAME]);
        throw new QueryError(
          "execution",
          `found duplicate series for the match group ${showLabels(group)} on the ${matching.group === "right" ? "left" : "right"} hand-side of the operation: ` +
            `[${showLabels(labels)}, ${showLabels(other.labels)}];many-to-many matching not allowed: matching labels must be unique on one side`,
        );
      }
      partner[signature] = index;
    }
  }

  /** Null when a comparison filters the pair out; what it keeps is the left side's value, whichever side is the many. */
  #value(mine: number, theirs: number, swapped: boolean): number | null {
    const { op, bool } = this.#spec;
    const [a, b] = swapped ? [theirs, mine] : [mine, theirs];
    const arithmetic = ARITHMETIC[op];
    if (arithmetic !== undefined) return arithmetic(a, b);
    const holds = COMPARISON[op]?.(a, b) === true;
    return bool ? Number(holds) : holds ? a : null;
  }

  #result(pair: number, mine: StepSeries, theirs: StepSeries) {
    const known = this.#pairs.get(pair);
    if (known !== undefined) return known;
    const labels = this.#labels(mine.labels, theirs.labels);
    const key = labelKey(labels);
    const result = this.#results.get(key) ?? { series: emptySeries(labels, this.#grid), number: this.#results.size };
    this.#results.set(key, result);
    this.#pairs.set(pair, result);
    return result;
  }

  /** `resultMetric` of promql/engine.go. */
  #labels(many: Labels, one: Labels): Labels {
    const { op, bool, matching } = this.#spec;
    const base = COMPARISONS.has(op) ? many : withoutName(many);
    const own =
      matching.group !== null ? base : matching.on ? only(base, matching.labels) : without(base, matching.labels);
    const included = matching.include.map((name) => [name, labelValue(one, name)]);
    const labels = included.length === 0 ? own : changed(own, Object.fromEntries(included));
    return bool ? withoutName(labels) : labels;
  }
}

function failure(what: string): QueryError {
  return new QueryError("execution", `multiple matches for labels: ${what}`);
}
