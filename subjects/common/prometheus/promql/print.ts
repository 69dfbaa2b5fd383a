import { formatDuration } from "../duration.ts";
import { formatFixed } from "../go-format.ts";
import { NAME } from "../labels.ts";
import type { At, Binary, Expr, Selector } from "./ast.ts";
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
    case "subquery": {
      const step = expr.stepMs === null ? "" : formatDuration(expr.stepMs);
      return `${printExpr(expr.expr)}[${formatDuration(expr.rangeMs)}:${step}]${suffix(expr)}`;
    }
    case "call":
      return `${expr.name}(${expr.args.map(printExpr).join(", ")})`;
    case "aggregate": {
      const way = expr.without ? "without" : "by";
      const grouping = expr.without || expr.labels.length > 0 ? ` ${way} (${expr.labels.map(label).join(", ")}) ` : "";
      const param = expr.param === null ? "" : `${printExpr(expr.param)}, `;
      return `${expr.op}${grouping}(${param}${printExpr(expr.expr)})`;
    }
    case "binary":
      return `${printExpr(expr.left)} ${expr.op}${expr.bool ? " bool" : ""}${matching(expr)} ${printExpr(expr.right)}`;
  }
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
