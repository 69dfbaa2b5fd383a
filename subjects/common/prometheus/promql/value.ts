import { NAME, without, type Labels } from "../labels.ts";

export interface InstantSample {
  readonly labels: Labels;
  readonly value: number;
}

/** Samples of one series within a range, oldest first, times in ms. */
export interface RangeSeries {
  readonly labels: Labels;
  readonly times: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

export type Value =
  | { readonly type: "scalar"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "vector"; readonly samples: readonly InstantSample[] }
  | {
      readonly type: "matrix";
      readonly series: readonly RangeSeries[];
      /** The range that was asked for, (from, to]: rates extrapolate to its ends. */
      readonly fromMs: number;
      readonly toMs: number;
    };

export function withoutName(labels: Labels): Labels {
  return labels[NAME] === undefined ? labels : without(labels, [NAME]);
}

/** As Go's `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent. */
export function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const text = Object.is(value, -0) ? "-0" : String(value);
  const [, sign = "", whole = "", fraction = "", exponent] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text) ?? [];
  if (exponent === undefined) return text;
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return sign + digits.padEnd(point, "0");
}
