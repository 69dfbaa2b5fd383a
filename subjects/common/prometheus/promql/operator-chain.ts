import type { BinaryOp, Expr, VectorMatching } from "./ast.ts";
import { QueryError } from "./errors.ts";

/** Binding strength; `^` binds to the right. As `promql/parser/generated_parser.y`. */
const PRECEDENCE: Readonly<Record<BinaryOp, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  "==": 3,
  "!=": 3,
  "<": 3,
  "<=": 3,
  ">": 3,
  ">=": 3,
  "+": 4,
  "-": 4,
  "*": 5,
  "/": 5,
  "%": 5,
  atan2: 5,
  "^": 6,
};
const UNARY_PRECEDENCE = 5;

export interface Operator {
  readonly op: BinaryOp;
  readonly bool: boolean;
  readonly matching: VectorMatching;
}
export type Token =
  | { readonly type: "operand"; readonly expr: Expr }
  | { readonly type: "sign"; readonly negative: boolean }
  | { readonly type: "operator"; readonly operator: Operator };

export function isOperator(text: string): text is BinaryOp {
  return text in PRECEDENCE;
}

/** A chain of operands, signs and operators as one expression, by precedence. */
export function combine(tokens: readonly Token[]): Expr {
  return climb(tokens, { index: 0 }, 0);
}

/** Precedence climbing over the flattened chain. */
function climb(tokens: readonly Token[], at: { index: number }, minimum: number): Expr {
  let left = operand(tokens, at);
  for (;;) {
    const token = tokens[at.index];
    if (token?.type !== "operator" || PRECEDENCE[token.operator.op] < minimum) return left;
    at.index++;
    const strength = PRECEDENCE[token.operator.op];
    const right = climb(tokens, at, token.operator.op === "^" ? strength : strength + 1);
    left = { kind: "binary", ...token.operator, left, right };
  }
}

function operand(tokens: readonly Token[], at: { index: number }): Expr {
  const token = tokens[at.index++];
  if (token?.type === "operand") return token.expr;
  if (token?.type !== "sign") throw new QueryError("bad_data", "parse error: incomplete expression");
  // A sign binds as `*` does: less than `^`.
  const expr = climb(tokens, at, UNARY_PRECEDENCE + 1);
  if (!token.negative) return expr;
  return expr.kind === "number" ? { kind: "number", value: -expr.value } : { kind: "negate", expr };
}
