import { parseError, type Position } from "./errors.ts";
import { Scan } from "./number-scan.ts";

export type TokenKind =
  | "identifier"
  | "metric identifier"
  | "string"
  | "number"
  | "duration"
  | "keyword"
  | "preprocessor"
  | "operator"
  | "aggregator"
  | "sign"
  | "end of input";

/** `text` as written; keywords are recognised in any case, so `word` is what they mean. Positions count UTF-16 units. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly word: string;
  readonly at: Position;
}

const WORDS: ReadonlyMap<string, TokenKind> = new Map([
  ...["and", "or", "unless", "atan2"].map((word) => [word, "operator"] as const),
  ...[
    ...["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"],
    ...["topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"],
  ].map((word) => [word, "aggregator"] as const),
  ...["offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"].map(
    (word) => [word, "keyword"] as const,
  ),
  ["start", "preprocessor"],
  ["end", "preprocessor"],
  ["inf", "number"],
  ["nan", "number"],
]);

const SPACE = /[ \t\n\r]/;
const DIGIT = /[0-9]/;
const ALPHA = /[a-zA-Z_]/;
const ALPHANUMERIC = /[a-zA-Z0-9_]/;
/** Before these a string has ended, whatever its quotes. */
const ESCAPE = /\\(?:[abfnrtv\\]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/y;

/** What a token is called in errors (promql/parser/lex.go: `Item.desc`). */
export function describe({ kind, text }: Token): string {
  switch (kind) {
    case "end of input":
      return kind;
    case "keyword":
      return `<${text}>`;
    case "operator":
      return `<op:${text}>`;
    case "aggregator":
      return `<aggr:${text}>`;
    case "identifier":
    case "metric identifier":
      return `${kind} ${quoted(text)}`;
    case "preprocessor":
    case "sign":
      return quoted(text);
    default:
      return `${kind} ${text.length > 10 ? `${quoted(text.slice(0, 10))}...` : quoted(text)}`;
  }
}

/** Go's `%q` of a text. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

function quotedRune(text: string): string {
  return text === "'"
    ? `'\\''`
    : text === "\\"
      ? `'\\\\'`
      : text === "\n"
        ? `'\\n'`
        : text === "\t"
          ? `'\\t'`
          : `'${text}'`;
}

/** Prometheus' own lexer (promql/parser/lex.go), whose state decides what a character means: braces, brackets, parentheses. */
export class Lexer {
  readonly #text: string;
  #at = 0;
  #parentheses = 0;
  #brace = false;
  #bracket = false;
  /** Within brackets up to the range or step, other rules hold. */
  #duration = false;
  #gotColon = false;
  #gotDuration = false;
  /** Where the last closing sign, number or duration ended: what a selector's position reaches to. */
  lastClosing = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @throws QueryError `bad_data` */
  next(): Token {
    for (;;) {
      const token = this.#brace ? this.#inBraces() : this.#duration ? this.#inDuration() : this.#statement();
      if (token === null) continue;
      if (/^[)\]}]$/.test(token.text) || token.kind === "number" || token.kind === "duration")
        this.lastClosing = token.at.end;
      return token;
    }
  }

  #fail(start: number, what: string): never {
    throw parseError(this.#text, { start, end: this.#text.length }, what);
  }

  #token(kind: TokenKind, length: number): Token {
    const [start, end] = [this.#at, this.#at + length];
    const text = this.#text.slice(start, end);
    this.#at = end;
    const word = WORDS.has(text.toLowerCase()) && kind !== "identifier" ? text.toLowerCase() : text;
    return { kind, text, word, at: { start, end } };
  }

  /** White space and comments; true when there was any. */
  #skip(): boolean {
    const before = this.#at;
    for (;;) {
      const c = this.#text[this.#at];
      if (c === undefined) break;
      if (SPACE.test(c)) this.#at++;
      else if (c === "#") while (this.#at < this.#text.length && !/[\r\n]/.test(this.#text[this.#at] ?? "")) this.#at++;
      else break;
    }
    return this.#at > before;
  }

  #peek(ahead = 0): string {
    const code = this.#text.codePointAt(this.#at + ahead);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #statement(): Token | null {
    if (this.#skip()) return null;
    const [c, next] = [this.#peek(), this.#peek(1)];
    const start = this.#at;
    if (c === "") return this.#end();
    if (",*/%+-^@".includes(c)) return this.#token(c === "," || c === "@" ? "sign" : "operator", 1);
    if ("=<>".includes(c)) {
      if (c === "=" && next === "~") this.#fail(start, `unexpected character after '=': '~'`);
      const long = next === "=";
      return this.#token(c === "=" && !long ? "sign" : "operator", long ? 2 : 1);
    }
    if (c === "!") {
      if (next !== "=")
        this.#fail(start, `unexpected character after '!': ${next === "" ? "'\ufffd'" : quotedRune(next)}`);
      return this.#token("operator", 2);
    }
    if (DIGIT.test(c) || (c === "." && DIGIT.test(next))) return this.#number();
    if (`"'\``.includes(c)) return this.#string(c);
    if (ALPHA.test(c) || c === ":") return this.#word(c);
    if ("()".includes(c)) return this.#parenthesis(c);
    if (c === "{") {
      this.#brace = true;
      return this.#token("sign", 1);
    }
    if (c === "[") return this.#open(c);
    if (c === "]") {
      if (!this.#bracket) this.#fail(start, `unexpected right bracket ']'`);
      this.#bracket = false;
      return this.#token("sign", 1);
    }
    return this.#fail(start, `unexpected character: ${quotedRune(c)}`);
  }

  #end(): Token {
    if (this.#parentheses !== 0) this.#fail(this.#at, "unclosed left parenthesis");
    if (this.#bracket) this.#fail(this.#at, "unclosed left bracket");
    return this.#token("end of input", 0);
  }

  #parenthesis(c: string): Token {
    this.#parentheses += c === "(" ? 1 : -1;
    if (this.#parentheses < 0) this.#fail(this.#at + 1, `unexpected right parenthesis ')'`);
    return this.#token("sign", 1);
  }

  #open(c: string): Token {
    if (this.#bracket) this.#fail(this.#at, `unexpected left bracket '${c}'`);
    [this.#gotColon, this.#gotDuration] = [false, false];
    const token = this.#token("sign", 1);
    [this.#bracket, this.#duration] = [true, true];
    return token;
  }

  #inDuration(): Token | null {
    while (SPACE.test(this.#peek())) this.#at++;
    const [c, next] = [this.#peek(), this.#peek(1)];
    if (c === "") this.#fail(this.#at, "unexpected end of input in duration expression");
    if (c === "]") {
      [this.#bracket, this.#duration, this.#gotColon] = [false, false, false];
      return this.#token("sign", 1);
    }
    if (c === ":") {
      if (!this.#gotDuration) this.#fail(this.#at + 1, "unexpected colon before duration in duration expression");
      if (this.#gotColon) this.#fail(this.#at + 1, "unexpected repeated colon in duration expression");
      this.#gotColon = true;
      return this.#token("sign", 1);
    }
    if ("()".includes(c)) return this.#parenthesis(c);
    if ("+-*/%^".includes(c)) return this.#token("operator", 1);
    if (DIGIT.test(c) || (c === "." && DIGIT.test(next))) {
      this.#gotDuration = true;
      // As there: after the first number the ordinary rules hold, in which a colon is the one of the subquery.
      this.#duration = false;
      return this.#number();
    }
    return this.#fail(this.#at, `unexpected character in duration expression: ${quotedRune(c)}`);
  }

  #inBraces(): Token | null {
    if (this.#skip()) return null;
    const [c, next] = [this.#peek(), this.#peek(1)];
    if (c === "") this.#fail(this.#at, "unexpected end of input inside braces");
    if (ALPHA.test(c)) {
      let length = 1;
      while (ALPHANUMERIC.test(this.#text[this.#at + length] ?? "")) length++;
      return this.#token("identifier", length);
    }
    if (c === ",") return this.#token("sign", 1);
    if (`"'\``.includes(c)) return this.#string(c);
    if (c === "=") return next === "~" ? this.#token("operator", 2) : this.#token("sign", 1);
    if (c === "!") {
      if (next !== "~" && next !== "=")
        this.#fail(
          this.#at,
          `unexpected character after '!' inside braces: ${quotedRune(next === "" ? "\ufffd" : next)}`,
        );
      return this.#token("operator", 2);
    }
    if (c === "{") this.#fail(this.#at, `unexpected left brace '{'`);
    if (c === "}") {
      this.#brace = false;
      return this.#token("sign", 1);
    }
    return this.#fail(this.#at, `unexpected character inside braces: ${quotedRune(c)}`);
  }

  #word(first: string): Token {
    if (this.#bracket) {
      // Within brackets a letter is taken for the colon, as there.
      if (this.#gotColon) this.#fail(this.#at, `unexpected colon ${quotedRune(first)}`);
      this.#gotColon = true;
      return this.#token("sign", 1);
    }
    let length = 1;
    while (/[a-zA-Z0-9_:]/.test(this.#text[this.#at + length] ?? "")) length++;
    const word = this.#text.slice(this.#at, this.#at + length);
    const kind = WORDS.get(word.toLowerCase()) ?? (word.includes(":") ? "metric identifier" : "identifier");
    return this.#token(kind, length);
  }

  #string(quote: string): Token {
    const start = this.#at;
    let end = start + 1;
    for (;;) {
      const c = this.#text[end];
      if (c === undefined && quote === "`") this.#fail(start, "unterminated raw string");
      if (c === undefined || (c === "\n" && quote !== "`")) this.#fail(start, "unterminated quoted string");
      if (c === quote) return this.#token("string", end + 1 - start);
      end += c === "\\" && quote !== "`" ? this.#escape(start, end, quote) : 1;
    }
  }

  /** @returns the length of an escape sequence */
  #escape(start: number, at: number, quote: string): number {
    if (this.#text[at + 1] === quote) return 2;
    ESCAPE.lastIndex = at;
    const found = ESCAPE.exec(this.#text)?.[0];
    if (found !== undefined) {
      const code =
        found.length <= 2
          ? 0
          : Number.parseInt(found.slice(/[xuU]/.test(found[1] ?? "") ? 2 : 1), /[xuU]/.test(found[1] ?? "") ? 16 : 8);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (/^\\[0-7]/.test(found) && code > 255))
        this.#fail(start, "escape sequence is an invalid Unicode code point");
      return found.length;
    }
    const c = this.#peek(at + 1 - this.#at);
    if (c === "") this.#fail(start, "escape sequence not terminated");
    if (!/[xuU0-7]/.test(c)) this.#fail(start, `unknown escape sequence ${rune(c)}`);
    const digits = /^\\[xuU]?[0-9a-fA-F]*/.exec(this.#text.slice(at))?.[0].length ?? 0;
    const wrong = this.#peek(at + digits - this.#at);
    if (wrong === "") this.#fail(start, "escape sequence not terminated");
    return this.#fail(start, `illegal character ${rune(wrong)} in escape sequence`);
  }

  #number(): Token {
    const start = this.#at;
    const scan = new Scan(this.#text, start);
    if (scan.number()) return this.#token("number", scan.at - start);
    if (scan.restOfDuration()) return this.#token("duration", scan.at - start);
    return this.#fail(start, `bad number or duration syntax: ${quoted(this.#text.slice(start, scan.at))}`);
  }
}

function rune(c: string): string {
  return `U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")} ${quotedRune(c)}`;
}
