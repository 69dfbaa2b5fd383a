import { parser } from "@prometheus-io/lezer-promql";
import type { SyntaxNode } from "@lezer/common";
import { NAME } from "../labels.ts";
import { matcher, type Matcher, type MatchOp } from "../matcher.ts";
import type { AggregateOp, At, Expr, Selector, Subquery, VectorMatching } from "./ast.ts";
import { checkTypes } from "./check.ts";
import { notImplemented, QueryError } from "./errors.ts";
import { parseNumber, parseString } from "./literals.ts";
import { combine, isOperator, type Operator, type Token } from "./operator-chain.ts";

/**
 * A query as a tree whose types fit. The grammar is Prometheus' own (`@prometheus-io/lezer-promql`); what is built here
 * is its meaning.
 *
 * @throws QueryError `bad_data` with the position of what is wrong, `execution` for what is not implemented.
 */
export function parseQuery(text: string): Expr {
  const { topNode } = parser.parse(text);
  const builder = new Builder(text);
  builder.refuseErrors(topNode);
  const body = childrenOf(topNode).filter((child) => child.name !== "LineComment");
  const [root, extra] = body;
  if (root === undefined) throw builder.error(topNode, "no expression found in input");
  if (extra !== undefined) throw builder.error(extra, `unexpected ${JSON.stringify(builder.textOf(extra))}`);
  const expr = builder.expression(root);
  checkTypes(expr);
  return expr;
}

/** A selector alone, as `match[]` of the API takes it. @throws QueryError */
export function parseMatchers(text: string): readonly Matcher[] {
  const expr = parseQuery(text);
  if (expr.kind !== "selector" || expr.rangeMs !== null)
    throw new QueryError("bad_data", `parse error: ${JSON.stringify(text)} is not a series selector`);
  return expr.matchers;
}

class Builder {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  error(node: SyntaxNode, what: string): QueryError {
    const before = this.#text.slice(0, node.from).split("\n");
    const column = (before.at(-1) ?? "").length + 1;
    return new QueryError("bad_data", `${before.length}:${column}: parse error: ${what}`);
  }

  textOf(node: SyntaxNode): string {
    return this.#text.slice(node.from, node.to);
  }

  refuseErrors(top: SyntaxNode): void {
    top.cursor().iterate((node) => {
      if (!node.type.isError) return;
      const found = this.textOf(node.node).trim();
      const rest = this.#text.slice(node.from).trim();
      const what =
        found !== "" ? JSON.stringify(found) : rest === "" ? "end of input" : JSON.stringify(rest.slice(0, 20));
      const called = /([a-zA-Z_][a-zA-Z0-9_]*)\s*$/.exec(this.#text.slice(0, node.from))?.[1];
      if (called !== undefined && rest.startsWith("("))
        throw this.error(node.node, `unknown function with name ${JSON.stringify(called)}`);
      throw this.error(node.node, this.#text.trim() === "" ? "no expression found in input" : `unexpected ${what}`);
    });
  }

  /**
   * The published grammar lets a suffix (`[5m]`, `offset`, `@`) close over a whole chain of operators before it, where
   * Prometheus binds it to the last operand alone. So a chain is taken apart into operands, signs and operators, and put
   * together again by precedence.
   */
  expression(node: SyntaxNode): Expr {
    return combine(this.#tokens(node));
  }

  #tokens(node: SyntaxNode): Token[] {
    switch (node.name) {
      case "BinaryExpr": {
        const [left, ...middle] = childrenOf(node);
        const right = middle.pop();
        if (left === undefined || right === undefined) throw this.error(node, "incomplete expression");
        const operator: Token = { type: "operator", operator: this.#operator(middle) };
        return [...this.#tokens(left), operator, ...this.#tokens(right)];
      }
      case "UnaryExpr": {
        const [sign, operand] = childrenOf(node);
        if (sign === undefined || operand === undefined) throw this.error(node, "incomplete expression");
        return [{ type: "sign", negative: this.textOf(sign) === "-" }, ...this.#tokens(operand)];
      }
      case "NumberDurationLiteral": {
        const text = this.textOf(node).trim();
        const signed = /^[+-]/.test(text);
        const value = parseNumber(signed ? text.slice(1).trim() : text);
        const operand: Token = { type: "operand", expr: { kind: "number", value } };
        return signed ? [{ type: "sign", negative: text.startsWith("-") }, operand] : [operand];
      }
      case "MatrixSelector":
      case "SubqueryExpr":
      case "OffsetExpr":
      case "StepInvariantExpr":
        return this.#suffixed(node);
      default:
        return [{ type: "operand", expr: this.#primary(node) }];
    }
  }

  #suffixed(node: SyntaxNode): Token[] {
    const [inner, ...rest] = childrenOf(node);
    if (inner === undefined) throw this.error(node, "incomplete expression");
    const tokens = this.#tokens(inner);
    const last = tokens.pop();
    if (last?.type !== "operand") throw this.error(node, "incomplete expression");
    return [...tokens, { type: "operand", expr: this.#withSuffix(node, last.expr, rest) }];
  }

  #withSuffix(node: SyntaxNode, expr: Expr, rest: readonly SyntaxNode[]): Expr {
    switch (node.name) {
      case "MatrixSelector": {
        if (expr.kind !== "selector" || expr.rangeMs !== null)
          throw this.error(node, "ranges only allowed for vector selectors");
        if (expr.offsetMs !== 0 || expr.at !== null)
          throw this.error(node, "no offset or @ modifiers allowed before range");
        return { ...expr, rangeMs: this.#positive(rest[0], node) };
      }
      case "SubqueryExpr": {
        const [range, step] = rest;
        const stepMs = step === undefined ? null : this.#positive(step, node);
        return { kind: "subquery", expr, rangeMs: this.#positive(range, node), stepMs, offsetMs: 0, at: null };
      }
      case "OffsetExpr": {
        const target = this.#timed(expr, node, "offset modifier");
        if (target.offsetMs !== 0) throw this.error(node, "offset may not be set multiple times");
        const offset = rest.find((child) => child.name !== "Offset");
        return { ...target, offsetMs: this.#duration(offset, node) };
      }
      default: {
        const target = this.#timed(expr, node, "@ modifier");
        if (target.at !== null) throw this.error(node, "@ <timestamp> may not be set multiple times");
        return { ...target, at: this.#at(rest, node) };
      }
    }
  }

  #timed(expr: Expr, node: SyntaxNode, what: string): Selector | Subquery {
    if (expr.kind === "selector" || expr.kind === "subquery") return expr;
    throw this.error(
      node,
      `${what} must be preceded by an instant vector selector or range vector selector or a subquery`,
    );
  }

  #at(rest: readonly SyntaxNode[], node: SyntaxNode): At {
    const text = rest
      .filter((child) => child.name !== "At")
      .map((child) => this.textOf(child))
      .join("")
      .replaceAll(/\s/g, "");
    if (/^(start|end)(\(\))?$/.test(text)) return text.startsWith("start") ? "start" : "end";
    const seconds = parseNumber(text);
    if (!Number.isFinite(seconds)) throw this.error(node, "timestamp out of bounds for @ modifier");
    return Math.round(seconds * 1_000);
  }

  #positive(node: SyntaxNode | undefined, parent: SyntaxNode): number {
    const ms = this.#duration(node, parent);
    if (ms <= 0) throw this.error(node ?? parent, "duration must be greater than 0");
    return ms;
  }

  #duration(node: SyntaxNode | undefined, parent: SyntaxNode): number {
    if (node === undefined) throw this.error(parent, "missing duration");
    const text = this.textOf(node).replaceAll(/\s/g, "");
    if (!/^[+-]*[\w.]+$/.test(text)) throw notImplemented(`arithmetic in durations: ${text}`);
    return Math.round(parseNumber(text) * 1_000);
  }

  #primary(node: SyntaxNode): Expr {
    switch (node.name) {
      case "ParenExpr": {
        const [inner] = childrenOf(node);
        if (inner === undefined) throw this.error(node, "incomplete expression");
        return this.expression(inner);
      }
      case "StringLiteral":
        return { kind: "string", value: parseString(this.textOf(node)) };
      case "VectorSelector":
        return this.#selector(node);
      case "FunctionCall": {
        const [name, body] = childrenOf(node);
        if (name === undefined) throw this.error(node, "incomplete expression");
        return { kind: "call", name: this.textOf(name), args: this.#arguments(body) };
      }
      case "AggregateExpr":
        return this.#aggregate(node);
      default:
        throw notImplemented(`${node.name} (${this.textOf(node)})`);
    }
  }

  #arguments(body: SyntaxNode | undefined): Expr[] {
    return body === undefined ? [] : childrenOf(body).map((argument) => this.expression(argument));
  }

  #selector(node: SyntaxNode): Selector {
    const matchers: Matcher[] = [];
    for (const child of childrenOf(node)) {
      if (child.name === "Identifier") matchers.push(matcher(NAME, "=", this.textOf(child)));
      else for (const entry of childrenOf(child)) matchers.push(this.#matcher(entry));
    }
    if (matchers.filter(({ name, op }) => name === NAME && op === "=").length > 1)
      throw this.error(node, "metric name must not be set twice");
    if (matchers.every((each) => each.test("")))
      throw this.error(node, "vector selector must contain at least one non-empty matcher");
    return { kind: "selector", matchers, rangeMs: null, offsetMs: 0, at: null };
  }

  #matcher(node: SyntaxNode): Matcher {
    if (node.name === "QuotedLabelName") return matcher(NAME, "=", parseString(this.textOf(node)));
    const [name, op, value] = childrenOf(node);
    if (name === undefined || op === undefined || value === undefined) throw this.error(node, "incomplete matcher");
    const label = name.name === "QuotedLabelName" ? parseString(this.textOf(name)) : this.textOf(name);
    try {
      return matcher(label, this.textOf(op) as MatchOp, parseString(this.textOf(value)));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw this.error(value, `error parsing regexp: ${error.message}`);
    }
  }

  #aggregate(node: SyntaxNode): Expr {
    const [operator, ...rest] = childrenOf(node);
    const modifier = rest.find((child) => child.name === "AggregateModifier");
    const body = rest.find((child) => child.name === "FunctionCallBody");
    if (operator === undefined || body === undefined) throw this.error(node, "incomplete aggregation");
    const op = this.textOf(operator).toLowerCase();
    const args = this.#arguments(body);
    const wanted = PARAMETERISED.has(op) ? 2 : 1;
    if (!PLAIN.has(op) && !PARAMETERISED.has(op)) throw notImplemented(`aggregation ${op}`);
    if (args.length !== wanted)
      throw this.error(
        node,
        `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
      );
    const [way, grouping] = modifier === undefined ? [] : childrenOf(modifier);
    return {
      kind: "aggregate",
      op: op as AggregateOp,
      without: way?.name === "Without",
      labels: this.#labelNames(grouping),
      param: wanted === 2 ? (args[0] as Expr) : null,
      expr: args.at(-1) as Expr,
    };
  }

  #labelNames(grouping: SyntaxNode | undefined): string[] {
    if (grouping === undefined) return [];
    return childrenOf(grouping).map((child) => {
      const text = this.textOf(child);
      return /^["'`]/.test(text) ? parseString(text) : text;
    });
  }

  #operator(nodes: readonly SyntaxNode[]): Operator {
    let op: string | null = null;
    let bool = false;
    let matching: VectorMatching = { on: false, labels: [], group: null, include: [] };
    for (const node of nodes) {
      if (node.name === "BoolModifier") bool = true;
      else if (node.name === "MatchingModifierClause") matching = this.#matching(node);
      else if (node.name.startsWith("Fill")) throw notImplemented("fill modifiers");
      else op = this.textOf(node).toLowerCase();
    }
    if (op === null || !isOperator(op)) throw notImplemented(`operator ${op ?? ""}`);
    return { op, bool, matching };
  }

  #matching(node: SyntaxNode): VectorMatching {
    let matching: VectorMatching = { on: false, labels: [], group: null, include: [] };
    let names: "labels" | "include" = "labels";
    for (const child of childrenOf(node)) {
      if (child.name === "On") matching = { ...matching, on: true };
      else if (child.name === "GroupLeft" || child.name === "GroupRight") {
        matching = { ...matching, group: child.name === "GroupLeft" ? "left" : "right" };
        names = "include";
      } else if (child.name === "GroupingLabels") matching = { ...matching, [names]: this.#labelNames(child) };
    }
    return matching;
  }
}

const PLAIN: ReadonlySet<string> = new Set(["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
const PARAMETERISED: ReadonlySet<string> = new Set(["topk", "bottomk", "quantile", "count_values"]);

function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.name !== "LineComment") children.push(child);
  return children;
}
