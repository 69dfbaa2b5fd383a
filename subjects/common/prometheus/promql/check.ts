import type { Expr, ValueType } from "./ast.ts";
import { notImplemented, QueryError } from "./errors.ts";
import { functions } from "./functions.ts";

const SHOWN: Readonly<Record<ValueType, string>> = {
  scalar: "scalar",
  string: "string",
  vector: "instant vector",
  matrix: "range vector",
};
const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const SETS: ReadonlySet<string> = new Set(["and", "or", "unless"]);

/**
 * The type of an expression, after everything in it was found to fit.
 *
 * @throws QueryError `bad_data` in Prometheus' words; `execution` for functions that are not implemented.
 */
export function checkTypes(expr: Expr): ValueType {
  switch (expr.kind) {
    case "number":
      return "scalar";
    case "string":
      return "string";
    case "selector":
      return expr.rangeMs === null ? "vector" : "matrix";
    case "subquery":
      expect(expr.expr, "vector", "subquery", "is only allowed on");
      return "matrix";
    case "negate": {
      const type = checkTypes(expr.expr);
      if (type === "scalar" || type === "vector") return type;
      throw bad(`unary expression only allowed on expressions of type scalar or instant vector, got "${SHOWN[type]}"`);
    }
    case "call":
      return checkCall(expr);
    case "aggregate":
      if (expr.param !== null)
        expect(expr.param, expr.op === "count_values" ? "string" : "scalar", "aggregation parameter", "expected type");
      expect(expr.expr, "vector", "aggregation expression", "expected type");
      return "vector";
    case "binary":
      return checkBinary(expr);
  }
}

function checkCall({ name, args }: Extract<Expr, { kind: "call" }>): ValueType {
  const known = functions[name];
  if (known === undefined) throw notImplemented(`function ${name}`);
  const { parameters, required } = known;
  const [least, most] = [required ?? parameters.length, parameters.length];
  if (args.length < least)
    throw bad(
      `expected ${least === most ? "" : "at least "}${least} argument(s) in call to "${name}", got ${args.length}`,
    );
  if (args.length > most && known.variadic !== true)
    throw bad(
      `expected ${least === most ? "" : "at most "}${most} argument(s) in call to "${name}", got ${args.length}`,
    );
  args.forEach((argument, index) => {
    const wanted = parameters[Math.min(index, most - 1)] as ValueType;
    expect(argument, wanted, `call to function "${name}"`, "expected type");
  });
  return known.returns;
}

function checkBinary({ op, bool, matching, left, right }: Extract<Expr, { kind: "binary" }>): ValueType {
  const [l, r] = [checkTypes(left), checkTypes(right)];
  for (const type of [l, r])
    if (type !== "scalar" && type !== "vector")
      throw bad("binary expression must contain only scalar and instant vector types");
  if (bool && !COMPARISONS.has(op)) throw bad("bool modifier can only be used on comparison operators");
  if (COMPARISONS.has(op) && l === "scalar" && r === "scalar" && !bool)
    throw bad("comparisons between scalars must use BOOL modifier");
  if (SETS.has(op)) {
    if (l === "scalar" || r === "scalar") throw bad(`set operator "${op}" not allowed in binary scalar expression`);
    if (matching.group !== null) throw bad(`no grouping allowed for "${op}" operation`);
  }
  if ((matching.on || matching.labels.length > 0) && (l === "scalar" || r === "scalar"))
    throw bad("vector matching only allowed between instant vectors");
  const both = matching.include.find((name) => matching.on && matching.labels.includes(name));
  if (both !== undefined) throw bad(`label "${both}" must not occur in ON and GROUP clause at once`);
  return l === "scalar" && r === "scalar" ? "scalar" : "vector";
}

function expect(expr: Expr, wanted: ValueType, where: string, words: string): void {
  const type = checkTypes(expr);
  if (type === wanted) return;
  if (where === "subquery") throw bad(`subquery ${words} ${SHOWN[wanted]}, got ${SHOWN[type]} instead`);
  throw bad(`${words} ${SHOWN[wanted]} in ${where}, got ${SHOWN[type]}`);
}

function bad(what: string): QueryError {
  return new QueryError("bad_data", `parse error: ${what}`);
}
