import { COMPARISONS, SET_OPERATORS, type Binary, type Call, type Expr, type Selector, type ValueType } from "./ast.ts";
import { parseError, type Position } from "./errors.ts";
import { NAME } from "../labels.ts";
import { quoted } from "./lexer.ts";
import { signatures, type Signature } from "./signatures.ts";

const SHOWN: Readonly<Record<ValueType, string>> = {
  scalar: "scalar",
  string: "string",
  vector: "instant vector",
  matrix: "range vector",
};

/**
 * Finds what parses but makes no sense (promql/parser/parse.go: `checkAST`).
 *
 * @throws QueryError `bad_data` in Prometheus' words
 */
export function checkTypes(expr: Expr, text: string): ValueType {
  return new Check(text).type(expr);
}

/** What an expression gives, when it was checked before. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case "number":
      return "scalar";
    case "string":
      return "string";
    case "paren":
    case "unary":
      return typeOf(expr.expr);
    case "matrix":
    case "subquery":
      return "matrix";
    case "call":
      return (signatures.get(expr.name) as Signature).returns;
    case "binary":
      return typeOf(expr.left) === "scalar" && typeOf(expr.right) === "scalar" ? "scalar" : "vector";
    case "selector":
    case "aggregate":
      return "vector";
  }
}

class Check {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  type(expr: Expr): ValueType {
    switch (expr.kind) {
      case "number":
        return "scalar";
      case "string":
        return "string";
      case "paren":
        return this.type(expr.expr);
      case "selector":
        this.#selector(expr, expr.pos);
        return "vector";
      case "matrix":
        this.#selector(expr.selector, expr.selector.pos);
        return "matrix";
      case "subquery": {
        const type = this.type(expr.expr);
        if (type !== "vector") this.#fail(expr.pos, `subquery is only allowed on instant vector, got ${type} instead`);
        return "matrix";
      }
      case "unary": {
        const type = this.type(expr.expr);
        if (type === "scalar" || type === "vector") return type;
        return this.#fail(
          expr.pos,
          `unary expression only allowed on expressions of type scalar or instant vector, got ${quoted(SHOWN[type])}`,
        );
      }
      case "call":
        return this.#call(expr);
      case "aggregate":
        this.#expect(expr.expr, "vector", "aggregation expression");
        if (expr.param !== null)
          this.#expect(expr.param, expr.op === "count_values" ? "string" : "scalar", "aggregation parameter");
        return "vector";
      case "binary":
        return this.#binary(expr);
    }
  }

  #fail(at: Position, what: string): never {
    throw parseError(this.#text, at, what);
  }

  #expect(expr: Expr, wanted: ValueType, where: string): void {
    const type = this.type(expr);
    if (type !== wanted) this.#fail(expr.pos, `expected type ${SHOWN[wanted]} in ${where}, got ${SHOWN[type]}`);
  }

  #selector({ name, matchers }: Selector, pos: Position): void {
    if (name !== "") {
      const twice = matchers.slice(0, -1).find((each) => each.name === NAME);
      if (twice !== undefined)
        this.#fail(pos, `metric name must not be set twice: ${quoted(name)} or ${quoted(twice.value)}`);
    } else if (matchers.every((each) => each.test("")))
      this.#fail(pos, "vector selector must contain at least one non-empty matcher");
  }

  #call({ name, args, pos }: Call): ValueType {
    const { args: wanted, variadic, returns } = signatures.get(name) as Signature;
    const least = variadic === 0 ? wanted.length : wanted.length - 1;
    if (variadic === 0 && args.length !== least)
      this.#fail(pos, `expected ${least} argument(s) in call to ${quoted(name)}, got ${args.length}`);
    if (args.length < least)
      this.#fail(pos, `expected at least ${least} argument(s) in call to ${quoted(name)}, got ${args.length}`);
    if (variadic > 0 && args.length > least + variadic)
      this.#fail(
        pos,
        `expected at most ${least + variadic} argument(s) in call to ${quoted(name)}, got ${args.length}`,
      );
    args.forEach((argument, index) => {
      const type = wanted[Math.min(index, wanted.length - 1)] as ValueType;
      this.#expect(argument, type, `call to function ${quoted(name)}`);
    });
    return returns;
  }

  #binary(expr: Binary): ValueType {
    const { op, bool, matching, left, right, pos } = expr;
    const [l, r] = [this.type(left), this.type(right)];
    const scalar = l === "scalar" || r === "scalar";
    if (bool && !COMPARISONS.has(op))
      this.#fail(this.#between(expr), "bool modifier can only be used on comparison operators");
    if (COMPARISONS.has(op) && l === "scalar" && r === "scalar" && !bool)
      this.#fail(this.#between(expr), "comparisons between scalars must use BOOL modifier");
    const both = matching.labels.find((label) => matching.on && matching.include.includes(label));
    if (both !== undefined)
      this.#fail(this.#between(expr), `label ${quoted(both)} must not occur in ON and GROUP clause at once`);
    for (const [side, type] of [[left, l] as const, [right, r] as const])
      if (type !== "scalar" && type !== "vector")
        this.#fail(side.pos, "binary expression must contain only scalar and instant vector types");
    if (scalar && matching.labels.length > 0) this.#fail(pos, "vector matching only allowed between instant vectors");
    if (!scalar && SET_OPERATORS.has(op) && matching.group !== null)
      this.#fail(pos, `no grouping allowed for ${quoted(op)} operation`);
    if (scalar && SET_OPERATORS.has(op))
      this.#fail(pos, `set operator ${quoted(op)} not allowed in binary scalar expression`);
    return l === "scalar" && r === "scalar" ? "scalar" : "vector";
  }

  /** Where the operator stands. */
  #between({ left, right }: Binary): Position {
    let { end: start } = left.pos;
    while (/\s/.test(this.#text[start] ?? "")) start++;
    return { start, end: right.pos.start };
  }
}
