import { labelKey, NAME, only, showLabels, without, type Labels } from "../labels.ts";
import type { Binary, BinaryOp, VectorMatching } from "./ast.ts";
import { QueryError } from "./errors.ts";
import { withoutName, type InstantSample, type Value } from "./value.ts";

const ARITHMETIC: Readonly<Partial<Record<BinaryOp, (a: number, b: number) => number>>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": (a, b) => a ** b,
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

/** Both sides have the types that the check allowed. */
export function binary(spec: Spec, left: Value, right: Value): Value {
  if (left.type === "scalar" && right.type === "scalar")
    return { type: "scalar", value: combined(spec, left.value, right.value) ?? 0 };
  if (left.type === "vector" && right.type === "scalar")
    return { type: "vector", samples: withScalar(spec, left.samples, (value) => [value, right.value]) };
  if (left.type === "scalar" && right.type === "vector")
    return { type: "vector", samples: withScalar(spec, right.samples, (value) => [left.value, value]) };
  if (left.type !== "vector" || right.type !== "vector") throw new TypeError("unexpected operand types");
  if (spec.op === "and" || spec.op === "or" || spec.op === "unless")
    return { type: "vector", samples: setOperation(spec, left.samples, right.samples) };
  return { type: "vector", samples: matched(spec, left.samples, right.samples) };
}

/** The result, or null when a comparison filters it out. A comparison without `bool` between scalars cannot come here. */
function combined({ op, bool }: Spec, a: number, b: number): number | null {
  const arithmetic = ARITHMETIC[op];
  if (arithmetic !== undefined) return arithmetic(a, b);
  const holds = COMPARISON[op]?.(a, b) === true;
  return bool ? Number(holds) : holds ? a : null;
}

function withScalar(
  spec: Spec,
  samples: readonly InstantSample[],
  operands: (value: number) => [number, number],
): InstantSample[] {
  const filter = COMPARISON[spec.op] !== undefined && !spec.bool;
  return samples.flatMap(({ labels, value }) => {
    const result = combined(spec, ...operands(value));
    if (result === null) return [];
    // A filter keeps the vector's own value, on whichever side it stands.
    return [filter ? { labels, value } : { labels: withoutName(labels), value: result }];
  });
}

function signatureOf({ on, labels }: VectorMatching): (of: Labels) => Labels {
  return on ? (of) => only(of, labels) : (of) => without(of, [...labels, NAME]);
}

function setOperation(
  { op, matching }: Spec,
  left: readonly InstantSample[],
  right: readonly InstantSample[],
): InstantSample[] {
  const signature = signatureOf(matching);
  const keyOf = (sample: InstantSample) => labelKey(signature(sample.labels));
  const leftKeys = new Set(left.map(keyOf));
  if (op === "or") return [...left, ...right.filter((sample) => !leftKeys.has(keyOf(sample)))];
  const rightKeys = new Set(right.map(keyOf));
  return left.filter((sample) => rightKeys.has(keyOf(sample)) === (op === "and"));
}

/** Pairs of equal signature. With `group_left` many of the left meet one of the right; `group_right` the reverse. */
function matched(spec: Spec, left: readonly InstantSample[], right: readonly InstantSample[]): InstantSample[] {
  const { matching } = spec;
  const [many, one] = matching.group === "right" ? [right, left] : [left, right];
  const signature = signatureOf(matching);
  const oneSide = new Map<string, InstantSample>();
  for (const sample of one) {
    const group = signature(sample.labels);
    const key = labelKey(group);
    const other = oneSide.get(key);
    if (other !== undefined) throw duplicates(group, other, sample, matching.group === "right" ? "left" : "right");
    oneSide.set(key, sample);
  }
  const results = new Map<string, InstantSample>();
  const paired = new Set<string>();
  for (const sample of many) {
    const key = labelKey(signature(sample.labels));
    const partner = oneSide.get(key);
    if (partner === undefined) continue;
    const [a, b] = matching.group === "right" ? [partner, sample] : [sample, partner];
    const value = combined(spec, a.value, b.value);
    if (value === null) continue;
    if (matching.group === null && paired.has(key))
      throw new QueryError(
        "execution",
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
      );
    paired.add(key);
    const labels = resultLabels(spec, sample.labels, partner.labels);
    const resultKey = labelKey(labels);
    if (results.has(resultKey))
      throw new QueryError("execution", "multiple matches for labels: grouping labels must ensure unique matches");
    // Without `bool` a comparison keeps the left side's value, whichever side is the many.
    results.set(resultKey, { labels, value });
  }
  return [...results.values()];
}

function resultLabels({ op, bool, matching }: Spec, many: Labels, one: Labels): Labels {
  const dropName = ARITHMETIC[op] !== undefined || bool;
  const base = dropName ? withoutName(many) : many;
  if (matching.group === null) return matching.on ? only(base, matching.labels) : without(base, matching.labels);
  const included = Object.fromEntries(matching.include.map((name) => [name, one[name] ?? ""]));
  return Object.fromEntries(Object.entries({ ...base, ...included }).filter(([, value]) => value !== ""));
}

function duplicates(group: Labels, a: InstantSample, b: InstantSample, side: "left" | "right"): QueryError {
  return new QueryError(
    "execution",
    `found duplicate series for the match group ${showLabels(group)} on the ${side} hand-side of the operation: ` +
      `[${showLabels(b.labels)}, ${showLabels(a.labels)}];many-to-many matching not allowed: matching labels must be unique on one side`,
  );
}
