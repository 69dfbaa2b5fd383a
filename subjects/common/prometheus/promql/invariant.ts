import type { Expr } from "./ast.ts";

/** Their result depends on the instant even when their arguments do not (promql/functions.go). */
const UNSAFE: ReadonlySet<string> = new Set([
  ...["days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year"],
  ...["predict_linear", "time", "timestamp"],
]);

/**
 * Whether an expression gives the same at every instant of a range, so that once is enough: `preprocessExprHelper` of
 * promql/engine.go. As there, an aggregation's parameter does not count.
 */
export function isInvariant(expr: Expr): boolean {
  switch (expr.kind) {
    case "number":
    case "string":
      return true;
    case "selector":
    case "matrix":
    case "subquery":
      return expr.at !== null;
    case "paren":
    case "unary":
    case "aggregate":
      return isInvariant(expr.expr);
    case "binary":
      return isInvariant(expr.left) && isInvariant(expr.right);
    case "call":
      return !UNSAFE.has(expr.name) && expr.args.every(isInvariant);
  }
}
