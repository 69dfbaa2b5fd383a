import type { Matcher } from "../matcher.ts";
import type { Position } from "./errors.ts";

export type ValueType = "scalar" | "vector" | "matrix" | "string";

export type BinaryOp =
  "+" | "-" | "*" | "/" | "%" | "^" | "atan2" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "and" | "or" | "unless";

export const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
export const SET_OPERATORS: ReadonlySet<string> = new Set(["and", "or", "unless"]);

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

/** What `offset` and `@` may follow. */
interface Shifted {
  offsetMs: number;
  at: At | null;
  pos: Position;
}

export interface Selector extends Shifted {
  readonly kind: "selector";
  /** Outside the braces; "" = none there. Its matcher is among the others. */
  readonly name: string;
  readonly matchers: readonly Matcher[];
}

export interface MatrixSelector extends Shifted {
  readonly kind: "matrix";
  readonly selector: Selector;
  readonly rangeMs: number;
}

export interface Subquery extends Shifted {
  readonly kind: "subquery";
  readonly expr: Expr;
  readonly rangeMs: number;
  /** Null = the evaluation interval. */
  readonly stepMs: number | null;
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
  readonly pos: Position;
}

export interface Aggregate {
  readonly kind: "aggregate";
  readonly op: AggregateOp;
  readonly without: boolean;
  readonly labels: readonly string[];
  readonly param: Expr | null;
  readonly expr: Expr;
  readonly pos: Position;
}

export interface Call {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Expr[];
  readonly pos: Position;
}

export type Expr =
  | { readonly kind: "number"; readonly value: number; readonly isDuration: boolean; readonly pos: Position }
  | { readonly kind: "string"; readonly value: string; readonly pos: Position }
  | { readonly kind: "paren"; readonly expr: Expr; readonly pos: Position }
  | { readonly kind: "unary"; readonly op: "+" | "-"; readonly expr: Expr; readonly pos: Position }
  | Call
  | Selector
  | MatrixSelector
  | Subquery
  | Binary
  | Aggregate;

/** Without parentheses around it. */
export function bare(expr: Expr): Exclude<Expr, { kind: "paren" }> {
  return expr.kind === "paren" ? bare(expr.expr) : expr;
}
