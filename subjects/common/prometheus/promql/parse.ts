import { durationFault, parseDuration } from "../duration.ts";
import { NAME } from "../labels.ts";
import { matcher, type Matcher, type MatchOp } from "../matcher.ts";
import type { AggregateOp, At, BinaryOp, Expr, MatrixSelector, Selector, Subquery, VectorMatching } from "./ast.ts";
import { checkTypes } from "./check.ts";
import { parseError, type Position } from "./errors.ts";
import { describe, Lexer, quoted, type Token } from "./lexer.ts";
import { parseNumber, parseString } from "./literals.ts";
import { experimental, signatures } from "./signatures.ts";

/**
 * A query as a tree whose types fit. The grammar is that of promql/parser/generated_parser.y of Prometheus 3.5, with its
 * errors: an unexpected token is named together with the innermost construct that can say what it wanted instead.
 *
 * @throws QueryError `bad_data` with the position of the first thing that is wrong
 */
export function parseQuery(text: string): Expr {
  const parser = new Parser(text);
  const expr = parser.whole();
  checkTypes(expr, text);
  return expr;
}

/** A selector alone, as `match[]` of the API takes it. @throws QueryError */
export function parseMatchers(text: string): readonly Matcher[] {
  return new Parser(text).selectorAlone().matchers;
}

/** Binding strength; `^` binds to the right. */
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
/** Each level costs several frames of the stack. */
const MAX_DEPTH = 500;

/** What a metric may be called although it is a word of the language. */
const METRIC_WORDS: ReadonlySet<string> = new Set([
  ...["by", "offset", "without", "start", "end", "and", "or", "unless"],
  ...["avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "stddev", "stdvar", "sum", "topk"],
  ...["limitk", "limit_ratio"],
]);
const WITH_PARAMETER: ReadonlySet<string> = new Set(["topk", "bottomk", "count_values", "quantile"]);
const MATCH_OPS: ReadonlySet<string> = new Set(["=", "!=", "=~", "!~"]);

/** Of a construct that names itself in errors: `unexpected … in <where>, expected <wanted>`. */
interface Context {
  readonly where: string;
  readonly wanted: string;
}

class Parser {
  readonly #text: string;
  readonly #lexer: Lexer;
  readonly #contexts: Context[] = [];
  #token: Token;
  #lastClosing = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#lexer = new Lexer(text);
    this.#token = this.#lexer.next();
  }

  whole(): Expr {
    if (this.#atEnd()) this.#fail(NOWHERE, "no expression found in input");
    const expr = this.#expression(0);
    if (!this.#atEnd()) this.#unexpected();
    return expr;
  }

  selectorAlone(): Selector {
    const named = this.#isMetricName();
    if (!named && this.#token.text !== "{") this.#unexpected();
    const selector = this.#selector(named ? this.#take() : null);
    if (!this.#atEnd()) this.#unexpected();
    return selector;
  }

  #take(): Token {
    const token = this.#token;
    this.#lastClosing = this.#lexer.lastClosing;
    if (token.kind !== "end of input") this.#token = this.#lexer.next();
    return token;
  }

  #atEnd(): boolean {
    return this.#token.kind === "end of input";
  }

  #fail(at: Position, what: string): never {
    throw parseError(this.#text, at, what);
  }

  #unexpected(context = this.#contexts.at(-1)): never {
    const where = context === undefined ? "" : ` in ${context.where}`;
    const wanted = context === undefined || context.wanted === "" ? "" : `, expected ${context.wanted}`;
    return this.#fail(this.#token.at, `unexpected ${describe(this.#token)}${where}${wanted}`);
  }

  /** While `run` parses, what is unexpected is so in this context. */
  #within<T>(where: string, wanted: string, run: () => T): T {
    this.#contexts.push({ where, wanted });
    const result = run();
    this.#contexts.pop();
    return result;
  }

  #is(text: string): boolean {
    return this.#token.word === text && this.#token.kind !== "string";
  }

  #expect(text: string): Token {
    if (!this.#is(text)) this.#unexpected();
    return this.#take();
  }

  /** Precedence climbing. */
  #expression(minimum: number): Expr {
    if (++this.#depth > MAX_DEPTH) this.#fail(this.#token.at, "expression is nested too deeply");
    let left = this.#unary();
    for (;;) {
      const op = this.#operator();
      if (op === null || PRECEDENCE[op] < minimum) break;
      this.#take();
      const { bool, matching } = this.#modifiers();
      const right = this.#expression(op === "^" ? PRECEDENCE[op] : PRECEDENCE[op] + 1);
      const pos = { start: left.pos.start, end: right.pos.end };
      left = { kind: "binary", op, bool, matching, left, right, pos };
    }
    this.#depth--;
    return left;
  }

  #operator(): BinaryOp | null {
    const { kind, word } = this.#token;
    return kind === "operator" && Object.hasOwn(PRECEDENCE, word) ? (word as BinaryOp) : null;
  }

  /** A sign binds as `*` does: less than `^`. */
  #unary(): Expr {
    if (!this.#is("+") && !this.#is("-")) return this.#suffixed(this.#primary());
    const sign = this.#take();
    const expr = this.#expression(UNARY_PRECEDENCE + 1);
    const pos = { start: sign.at.start, end: expr.pos.end };
    if (expr.kind === "number") return { ...expr, value: sign.text === "-" ? -expr.value : expr.value, pos };
    return { kind: "unary", op: sign.text as "+" | "-", expr, pos };
  }

  #modifiers(): { readonly bool: boolean; readonly matching: VectorMatching } {
    let matching: VectorMatching = { on: false, labels: [], group: null, include: [] };
    const bool = this.#is("bool");
    if (bool) this.#take();
    if (!this.#is("on") && !this.#is("ignoring")) return { bool, matching };
    matching = { ...matching, on: this.#take().word === "on", labels: this.#labels() };
    if (!this.#is("group_left") && !this.#is("group_right")) return { bool, matching };
    const group = this.#take().word === "group_left" ? "left" : "right";
    return { bool, matching: { ...matching, group, include: this.#is("(") ? this.#labels() : [] } };
  }

  #labels(): string[] {
    return this.#within("grouping opts", '"("', () => {
      this.#expect("(");
      const labels: string[] = [];
      this.#contexts.push({ where: "grouping opts", wanted: "label" });
      while (!this.#is(")")) {
        labels.push(this.#label());
        this.#contexts.splice(-1, 1, { where: "grouping opts", wanted: '"," or ")"' });
        if (!this.#is(",") && !this.#is(")")) this.#unexpected();
        if (this.#is(",")) this.#take();
        this.#contexts.splice(-1, 1, { where: "grouping opts", wanted: "label" });
      }
      this.#contexts.pop();
      this.#take();
      return labels;
    });
  }

  #label(): string {
    const { kind, text, at } = this.#token;
    const known = ["identifier", "metric identifier", "keyword", "preprocessor", "aggregator", "string"].includes(kind);
    if (!known && !/^[a-z]/i.test(text)) this.#unexpected();
    if (kind === "number" || kind === "duration") this.#unexpected();
    this.#take();
    const label = kind === "string" ? parseString(text) : text;
    if (label === "") this.#fail(at, `invalid label name for grouping: ${quoted(label)}`);
    return label;
  }

  #primary(): Expr {
    const { kind, text, at } = this.#token;
    switch (kind) {
      case "number":
      case "duration":
        return this.#number();
      case "string":
        this.#take();
        return { kind: "string", value: parseString(text), pos: at };
      case "aggregator":
        return this.#aggregateOrMetric();
      case "identifier": {
        const name = this.#take();
        return this.#is("(") ? this.#call(name) : this.#selector(name);
      }
      default:
        if (this.#isMetricName()) return this.#selector(this.#take());
        if (text === "{") return this.#selector(null);
        if (text === "(") return this.#parenthesised();
        return this.#unexpected();
    }
  }

  #isMetricName(): boolean {
    const { kind, word } = this.#token;
    return kind === "identifier" || kind === "metric identifier" || (kind !== "string" && METRIC_WORDS.has(word));
  }

  #number(): Extract<Expr, { kind: "number" }> {
    const { kind, text, at } = this.#take();
    if (kind === "number") {
      const value = parseNumber(text);
      if (value === null)
        this.#fail(at, `error parsing number: strconv.ParseFloat: parsing ${quoted(text)}: invalid syntax`);
      return { kind: "number", value, isDuration: false, pos: at };
    }
    const ms = parseDuration(text);
    if (ms === null) this.#fail(at, durationFault(text));
    if (ms > MAX_DURATION_MS) this.#fail(at, "duration out of range");
    return { kind: "number", value: ms / 1_000, isDuration: true, pos: at };
  }

  #parenthesised(): Expr {
    const open = this.#take();
    const expr = this.#expression(0);
    const close = this.#expect(")");
    return { kind: "paren", expr, pos: { start: open.at.start, end: close.at.end } };
  }

  #call(name: Token): Expr {
    const { args, end } = this.#arguments(() => {
      if (experimental.has(name.text)) this.#fail(name.at, `function ${quoted(name.text)} is not enabled`);
      if (!signatures.has(name.text)) this.#fail(name.at, `unknown function with name ${quoted(name.text)}`);
    });
    return { kind: "call", name: name.text, args, pos: { start: name.at.start, end } };
  }

  #beginsExpression(): boolean {
    const { kind, text } = this.#token;
    return (
      ["number", "duration", "string", "aggregator"].includes(kind) || "+-({".includes(text) || this.#isMetricName()
    );
  }

  /** `check` runs before anything behind the parenthesis is looked at, whose faults would come first otherwise. */
  #arguments(check = () => {}): { readonly args: Expr[]; readonly end: number } {
    this.#expect("(");
    const args: Expr[] = [];
    if (!this.#is(")")) args.push(this.#expression(0));
    while (this.#is(",")) {
      const comma = this.#take();
      if (!this.#beginsExpression()) this.#fail(comma.at, "trailing commas not allowed in function call args");
      args.push(this.#expression(0));
    }
    if (this.#is(")")) check();
    return { args, end: this.#expect(")").at.end };
  }

  #aggregateOrMetric(): Expr {
    const operator = this.#take();
    if (!this.#is("(") && !this.#is("by") && !this.#is("without")) return this.#selector(operator);
    const {
      grouping: before,
      args,
      end,
    } = this.#within("aggregation", "", () => {
      const grouping = this.#grouping();
      return { grouping, ...this.#arguments() };
    });
    const grouping = before ?? this.#grouping() ?? { without: false, labels: [] };
    const pos = { start: operator.at.start, end };
    const op = operator.word;
    if (args.length === 0) this.#fail(pos, "no arguments for aggregate expression provided");
    if (op === "limitk" || op === "limit_ratio")
      this.#fail(
        pos,
        `${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`,
      );
    const wanted = WITH_PARAMETER.has(op) ? 2 : 1;
    if (args.length !== wanted)
      this.#fail(
        pos,
        `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
      );
    const [param, expr] = wanted === 2 ? [args[0] as Expr, args[1] as Expr] : [null, args[0] as Expr];
    return { kind: "aggregate", op: op as AggregateOp, ...grouping, param, expr, pos };
  }

  #grouping(): { readonly without: boolean; readonly labels: readonly string[] } | null {
    if (!this.#is("by") && !this.#is("without")) return null;
    return { without: this.#take().word === "without", labels: this.#labels() };
  }

  #selector(name: Token | null): Selector {
    const matchers: Matcher[] = [];
    const start = (name ?? this.#token).at.start;
    let end = name?.at.end ?? start;
    if (this.#is("{")) {
      this.#take();
      matchers.push(...this.#matchers());
      end = this.#take().at.end;
    }
    if (name !== null) matchers.push(matcher(NAME, "=", name.text));
    return { kind: "selector", name: name?.text ?? "", matchers, offsetMs: 0, at: null, pos: { start, end } };
  }

  /** Up to the closing brace, which is left. */
  #matchers(): Matcher[] {
    const matchers: Matcher[] = [];
    const where = "label matching";
    while (!this.#is("}")) {
      matchers.push(this.#within(where, 'identifier or "}"', () => this.#matcher()));
      if (!this.#is(",") && !this.#is("}")) this.#unexpected({ where, wanted: '"," or "}"' });
      if (this.#is(",")) this.#take();
    }
    return matchers;
  }

  #matcher(): Matcher {
    const where = "label matching";
    const name = this.#token;
    if (name.kind !== "identifier" && name.kind !== "string") this.#unexpected();
    this.#take();
    const label = name.kind === "string" ? parseString(name.text) : name.text;
    if (!MATCH_OPS.has(this.#token.text)) {
      if (name.kind === "string") return matcher(NAME, "=", label);
      this.#unexpected({ where, wanted: "label matching operator" });
    }
    const op = this.#take().text as MatchOp;
    const value = this.#token;
    if (value.kind !== "string") this.#unexpected({ where, wanted: "string" });
    this.#take();
    try {
      return matcher(label, op, parseString(value.text));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return this.#fail({ start: name.at.start, end: value.at.end }, error.message);
    }
  }

  /** Ranges, `offset` and `@`, which bind more tightly than any operator. */
  #suffixed(operand: Expr): Expr {
    let expr = operand;
    for (;;) {
      if (this.#is("[")) expr = this.#range(expr);
      else if (this.#is("offset")) this.#offset(expr);
      else if (this.#is("@")) this.#at(expr);
      else return expr;
    }
  }

  #range(expr: Expr): Expr {
    const open = this.#take();
    const { value: range } = this.#within("subquery selector", "number or duration", () => this.#positive());
    const rangeMs = milliseconds(range);
    if (this.#is("]")) return this.#matrix(expr, rangeMs, open);
    if (this.#token.text !== ":" && !(this.#token.kind === "sign" && /^[a-zA-Z_]$/.test(this.#token.text)))
      this.#unexpected({ where: "subquery or range", wanted: '":" or "]"' });
    this.#take();
    let stepMs: number | null = null;
    if (!this.#is("]")) {
      const { value } = this.#within("subquery selector", 'number or duration or "]"', () => this.#positive());
      stepMs = milliseconds(value);
      if (!this.#is("]")) this.#unexpected({ where: "subquery selector", wanted: '"]"' });
    }
    const { end } = this.#take().at;
    return { kind: "subquery", expr, rangeMs, stepMs, offsetMs: 0, at: null, pos: { start: expr.pos.start, end } };
  }

  #matrix(expr: Expr, rangeMs: number, open: Token): Expr {
    const close = this.#take();
    const at = { start: open.at.start, end: close.at.end };
    if (expr.kind !== "selector") this.#fail(at, "ranges only allowed for vector selectors");
    if (expr.offsetMs !== 0) this.#fail(at, "no offset modifiers allowed before range");
    if (typeof expr.at === "number") this.#fail(at, "no @ modifiers allowed before range");
    const pos = { start: expr.pos.start, end: close.at.end };
    return { kind: "matrix", selector: expr, rangeMs, offsetMs: 0, at: expr.at, pos };
  }

  #positive(): { readonly value: number } {
    const { value, pos } = this.#duration();
    if (!(value > 0)) this.#fail(pos, "duration must be greater than 0");
    return { value };
  }

  /** One number or duration with signs; what is calculated is refused as it is there without its feature flag. */
  #duration(nested = false): { readonly value: number; readonly pos: Position } {
    const first = this.#token;
    if (first.text === "(") {
      this.#take();
      const { pos } = this.#duration(true);
      this.#expect(")");
      this.#fail(pos, "experimental duration expression is not enabled");
    }
    if (this.#is("+") || this.#is("-")) {
      this.#take();
      const { value, pos } = this.#duration(nested);
      return { value: first.text === "-" ? -value : value, pos: { start: first.at.start, end: pos.end } };
    }
    if (first.kind !== "number" && first.kind !== "duration") this.#unexpected();
    const { value, pos } = this.#number();
    if (!(Math.abs(value) <= MAX_DURATION_MS / 1_000) && !Number.isNaN(value)) this.#fail(pos, "duration out of range");
    if (
      this.#operator() !== null &&
      "+-*/%^".includes(this.#token.text) &&
      (nested || this.#contexts.at(-1)?.where !== "offset")
    ) {
      this.#take();
      this.#duration(nested);
      this.#fail(pos, "experimental duration expression is not enabled");
    }
    return { value, pos };
  }

  #offset(expr: Expr): void {
    this.#take();
    const { value } = this.#within("offset", "number or duration", () => this.#duration());
    if (expr.kind !== "selector" && expr.kind !== "matrix" && expr.kind !== "subquery")
      this.#fail(
        expr.pos,
        "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
      );
    if (expr.offsetMs !== 0) this.#fail(expr.pos, "offset may not be set multiple times");
    this.#shift(expr, { offsetMs: milliseconds(value) });
  }

  #at(expr: Expr): void {
    this.#take();
    const at = this.#within("@", "timestamp", () => this.#timestamp(expr.pos));
    if (expr.kind !== "selector" && expr.kind !== "matrix" && expr.kind !== "subquery")
      this.#fail(
        expr.pos,
        "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
      );
    if (expr.at !== null) this.#fail(expr.pos, "@ <timestamp> may not be set multiple times");
    this.#shift(expr, { at });
  }

  #shift(expr: Selector | MatrixSelector | Subquery, change: { offsetMs?: number; at?: At }): void {
    Object.assign(expr, change, { pos: { start: expr.pos.start, end: this.#lastClosing } });
  }

  #timestamp(before: Position): At {
    if (this.#is("start") || this.#is("end")) {
      const end = this.#take().word as "start" | "end";
      this.#expect("(");
      this.#expect(")");
      return end;
    }
    const signed = this.#is("-") || this.#is("+") ? this.#take().text : "+";
    if (this.#token.kind !== "number" && this.#token.kind !== "duration") this.#unexpected();
    const { value } = this.#number();
    const seconds = signed === "-" ? -value : value;
    if (!(Math.abs(seconds) < 2 ** 63)) {
      const shown = Number.isFinite(seconds)
        ? seconds.toFixed(6)
        : Number.isNaN(seconds)
          ? "NaN"
          : seconds > 0
            ? "+Inf"
            : "-Inf";
      this.#fail(before, `timestamp out of bounds for @ modifier: ${shown}`);
    }
    return Math.sign(seconds) * Math.round(Math.abs(seconds) * 1_000);
  }
}

const NOWHERE: Position = { start: 0, end: 0 };
/** What fits Go's nanoseconds in 64 bits. */
const MAX_DURATION_MS = 2 ** 63 / 1e6;

/** Go keeps whole nanoseconds. */
function milliseconds(seconds: number): number {
  return Math.round(seconds * 1e9) / 1e6;
}
