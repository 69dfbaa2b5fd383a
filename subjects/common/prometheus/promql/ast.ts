import type { Matcher } from "../matcher.ts";

export type ValueType = "scalar" | "vector" | "matrix" | "string";

export type BinaryOp =
  "+" | "-" | "*" | "/" | "%" | "^" | "atan2" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "and" | "or" | "unless";

export type AggregateOp =
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "count"
  | "group"
  | "stddev"
  | "stdvar"
  | "topk"
  | "bottomk"
  | "quantile"
  | "count_values";

/** Fixed evaluation time of `@`, in ms since the epoch, or one end of the query's range. */
export type At = number | "start" | "end";

export interface Selector {
  readonly kind: "selector";
  readonly matchers: readonly Matcher[];
  /** null = an instant vector. */
  readonly rangeMs: number | null;
  readonly offsetMs: number;
  readonly at: At | null;
}

export interface Subquery {
  readonly kind: "subquery";
  readonly expr: Expr;
  readonly rangeMs: number;
  /** null = the default of one minute. */
  readonly stepMs: number | null;
  readonly offsetMs: number;
  readonly at: At | null;
}

export interface VectorMatching {
  /** `on` = these labels alone, else all but these. */
  readonly on: boolean;
  readonly labels: readonly string[];
  readonly group: "left" | "right" | null;
  readonly include: readonly string[];
}

export interface Binary {
  readonly kind: "binary";
  readonly op: BinaryOp;
  readonly bool: boolean;
  readonly matching: VectorMatching;
  readonly left: Expr;
  readonly right: Expr;
}

export interface Aggregate {
  readonly kind: "aggregate";
  readonly op: AggregateOp;
  readonly without: boolean;
  readonly labels: readonly string[];
  readonly param: Expr | null;
  readonly expr: Expr;
}

export type Expr =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "negate"; readonly expr: Expr }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expr[] }
  | Selector
  | Subquery
  | Binary
  | Aggregate;
