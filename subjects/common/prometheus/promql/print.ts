import { formatDuration } from "../duration.ts";
import { formatFixed } from "../go-format.ts";
import { NAME } from "../labels.ts";
import type { Aggregate, At, Binary, Expr, Selector, Subquery } from "./ast.ts";
import { quoted } from "./lexer.ts";

/** An expression as Prometheus writes it in one line (promql/parser/printer.go). */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case "number":
      return number(expr);
    case "string":
      return quoted(expr.value);
    case "paren":
      return `(${printExpr(expr.expr)})`;
    case "unary":
      return expr.op + printExpr(expr.expr);
    case "selector":
      return selector(expr) + suffix(expr);
    case "matrix":
      return `${selector(expr.selector)}[${formatDuration(expr.rangeMs)}]${suffix(expr)}`;
    case "subquery":
      return printExpr(expr.expr) + subqueryTimes(expr);
    case "call":
      return `${expr.name}(${expr.args.map(printExpr).join(", ")})`;
    case "aggregate": {
      const param = expr.param === null ? "" : `${printExpr(expr.param)}, `;
      return `${aggregation(expr)}(${param}${printExpr(expr.expr)})`;
    }
    case "binary":
      return `${printExpr(expr.left)} ${operator(expr)} ${printExpr(expr.right)}`;
  }
}

const MAX_LINE = 100;

/** The same over several lines where one would be longer than 100 characters (promql/parser/prettier.go). */
export function prettyExpr(expr: Expr, level = 0): string {
  const indent = "  ".repeat(level);
  const line = printExpr(expr);
  switch (expr.kind) {
    case "unary":
      return indent + expr.op + prettyExpr(expr.expr, level).trim();
    case "subquery":
      return line.length <= MAX_LINE ? line : prettyExpr(expr.expr, level) + subqueryTimes(expr);
    default:
      if (line.length <= MAX_LINE) return indent + line;
  }
  const inner = (each: Expr) => prettyExpr(each, level + 1);
  switch (expr.kind) {
    case "paren":
      return `${indent}(\n${inner(expr.expr)}\n${indent})`;
    case "call":
      return `${indent}${expr.name}(\n${expr.args.map(inner).join(",\n")}\n${indent})`;
    case "aggregate": {
      const param = expr.param === null ? "" : `${inner(expr.param)},\n`;
      return `${indent}${aggregation(expr)}(\n${param}${inner(expr.expr)}\n${indent})`;
    }
    case "binary":
      return `${inner(expr.left)}\n${indent}${operator(expr)}\n${inner(expr.right)}`;
    default:
      return indent + line;
  }
}

function aggregation({ op, without, labels }: Aggregate): string {
  if (!without && labels.length === 0) return op;
  return `${op} ${without ? "without" : "by"} (${labels.map(label).join(", ")}) `;
}

function operator(expr: Binary): string {
  return expr.op + (expr.bool ? " bool" : "") + matching(expr);
}

function subqueryTimes(expr: Subquery): string {
  const step = expr.stepMs === null ? "" : formatDuration(expr.stepMs);
  return `[${formatDuration(expr.rangeMs)}:${step}]${suffix(expr)}`;
}

function number({ value, isDuration }: Extract<Expr, { kind: "number" }>): string {
  if (!isDuration) return formatFixed(value);
  return value < 0 ? `-${formatDuration(-value * 1_000)}` : formatDuration(value * 1_000);
}

function label(name: string): string {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : quoted(name);
}

function selector({ name, matchers }: Selector): string {
  const shown = matchers
    .filter((each) => !(each.name === NAME && each.op === "=" && each.value === name && each.value !== ""))
    .map(
      (each) =>
        `${/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(each.name) ? each.name : quoted(each.name)}${each.op}${quoted(each.value)}`,
    )
    .sort();
  return shown.length === 0 ? name : `${name}{${shown.join(",")}}`;
}

function suffix({ at, offsetMs }: { readonly at: At | null; readonly offsetMs: number }): string {
  const time = at === null ? "" : typeof at === "number" ? ` @ ${(at / 1_000).toFixed(3)}` : ` @ ${at}()`;
  if (offsetMs === 0) return time;
  return `${time} offset ${offsetMs < 0 ? "-" : ""}${formatDuration(Math.abs(offsetMs))}`;
}

function matching({ matching: { on, labels, group, include } }: Binary): string {
  if (!on && labels.length === 0) return "";
  const grouped = group === null ? "" : ` group_${group} (${include.join(", ")})`;
  return ` ${on ? "on" : "ignoring"} (${labels.join(", ")})${grouped}`;
}
