/** A part of a template: text, or what stood between `{{` and `}}`. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

export interface Pipeline {
  /** `$x := …`, `$x = …`, or `$i, $x := …` of a range. */
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly Command[];
}

/** The first operand is called with the others, and with the result of the command before it. */
export type Command = readonly [Operand, ...Operand[]];

export type Operand =
  | { readonly kind: "value"; readonly value: string | number | bigint | boolean | null }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "chain"; readonly of: string | Pipeline | null; readonly fields: readonly string[] };

const TOKEN =
  /\s*(?:("(?:[^"\\\n]|\\.)*"|`[^`]*`)|('(?:[^'\\]|\\.)+')|([+-]?(?:0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))|(\$\w*(?:\.\w+)*)|((?:\.\w+)+|\.)|(\w+)|(:=|=|\||,|\(|\)))/y;

type Token = { readonly kind: "string" | "number" | "variable" | "field" | "word" | "sign"; readonly text: string };

/**
 * The part of Go's `text/template` that alert rules use: values, fields, variables, pipelines, `if`, `with`, `range`,
 * comments, trimming. What else Go has (`define`, `template`, `block`, `break`, `continue`) is refused by name.
 *
 * @throws SyntaxError
 */
export function parseTemplate(text: string, functions: ReadonlySet<string>): readonly Node[] {
  const parser = new TemplateParser(pieces(text), functions);
  return parser.whole();
}

type Piece = { readonly text: string } | { readonly action: string };

/** Text and actions in turn; `{{-` and `-}}` take the white space beside them. */
function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  const shape = /\{\{(- (?=\s*))?([\s\S]*?)( -)?\}\}/g;
  let [at, trim] = [0, false];
  for (let match = shape.exec(text); match !== null; match = shape.exec(text)) {
    let between = text.slice(at, match.index);
    if (trim) between = between.trimStart();
    if (match[1] !== undefined) between = between.trimEnd();
    if (between !== "") found.push({ text: between });
    const action = (match[2] ?? "").trim();
    if (!/^\/\*[\s\S]*\*\/$/.test(action)) found.push({ action });
    trim = match[3] !== undefined;
    at = shape.lastIndex;
  }
  let rest = text.slice(at);
  if (rest.includes("{{")) throw new SyntaxError("unclosed action");
  if (trim) rest = rest.trimStart();
  if (rest !== "") found.push({ text: rest });
  return found;
}

class TemplateParser {
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  #at = 0;

  constructor(given: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = given;
    this.#functions = functions;
  }

  whole(): readonly Node[] {
    const { nodes, ended } = this.#nodes();
    if (ended !== null) throw new SyntaxError(`unexpected {{${ended}}}`);
    return nodes;
  }

  /** Until the end of the text, or `end` or `else`, which is handed back. */
  #nodes(): { readonly nodes: Node[]; readonly ended: string | null } {
    const nodes: Node[] = [];
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at++] as Piece;
      if ("text" in piece) {
        nodes.push({ kind: "text", text: piece.text });
        continue;
      }
      const [, word = "", rest = ""] = /^(\w*)([\s\S]*)$/.exec(piece.action) ?? [];
      if (word === "end" || word === "else") return { nodes, ended: piece.action };
      if (word === "if" || word === "with" || word === "range") nodes.push(this.#block(word, rest));
      else if (["define", "template", "block", "break", "continue"].includes(word))
        throw new SyntaxError(`{{${word}}} is not supported`);
      else nodes.push({ kind: "print", pipeline: this.#pipeline(piece.action) });
    }
    return { nodes, ended: null };
  }

  #block(kind: "if" | "with" | "range", condition: string): Node {
    const pipeline = this.#pipeline(condition);
    const { nodes: body, ended } = this.#nodes();
    if (ended === null) throw new SyntaxError("unexpected EOF");
    if (ended === "end") return { kind, pipeline, body, otherwise: [] };
    const chained = /^else\s+(if|with)\b([\s\S]*)$/.exec(ended);
    if (chained !== null)
      return { kind, pipeline, body, otherwise: [this.#block(chained[1] as "if" | "with", chained[2] ?? "")] };
    if (ended !== "else") throw new SyntaxError(`unexpected {{${ended}}}`);
    const { nodes: otherwise, ended: last } = this.#nodes();
    if (last === null) throw new SyntaxError("unexpected EOF");
    if (last !== "end") throw new SyntaxError("expected end; found {{else}}");
    return { kind, pipeline, body, otherwise };
  }

  #pipeline(text: string): Pipeline {
    const reader = new PipelineReader(tokens(text), this.#functions);
    return reader.whole();
  }
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const kinds = ["string", "string", "number", "variable", "field", "word", "sign"] as const;
  let at = 0;
  while (text.slice(at).trim() !== "") {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw new SyntaxError(`unexpected ${JSON.stringify(text.slice(at).trim()[0])} in operand`);
    const index = match.slice(1).findIndex((part) => part !== undefined);
    found.push({ kind: kinds[index] as Token["kind"], text: match[index + 1] as string });
    at = TOKEN.lastIndex;
  }
  return found;
}

class PipelineReader {
  readonly #tokens: readonly Token[];
  readonly #functions: ReadonlySet<string>;
  #at = 0;

  constructor(given: readonly Token[], functions: ReadonlySet<string>) {
    this.#tokens = given;
    this.#functions = functions;
  }

  whole(): Pipeline {
    const pipeline = this.#pipeline();
    const left = this.#tokens[this.#at];
    if (left !== undefined) throw new SyntaxError(`unexpected ${JSON.stringify(left.text)} in command`);
    return pipeline;
  }

  #pipeline(): Pipeline {
    const given = this.#assignment();
    const commands: Command[] = [this.#command()];
    while (this.#take("|")) commands.push(this.#command());
    return { ...given, commands };
  }

  #assignment(): Pick<Pipeline, "variables" | "declares"> {
    const signs = this.#tokens.slice(this.#at, this.#at + 4);
    const names = signs[1]?.text === "," ? [signs[0], signs[2]] : [signs[0]];
    const sign = signs[names.length === 2 ? 3 : 1]?.text;
    if ((sign !== ":=" && sign !== "=") || names.some((name) => name?.kind !== "variable"))
      return { variables: [], declares: false };
    this.#at += names.length * 2;
    return { variables: names.map((name) => name?.text ?? ""), declares: sign === ":=" };
  }

  #command(): Command {
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || token.text === "|" || token.text === ")") break;
      operands.push(this.#operand(token));
    }
    const [first, ...rest] = operands;
    if (first === undefined) throw new SyntaxError("missing value for command");
    return [first, ...rest];
  }

  #operand(token: Token): Operand {
    this.#at++;
    switch (token.kind) {
      case "string":
        return { kind: "value", value: unquote(token.text) };
      case "number":
        return { kind: "value", value: numberOf(token.text) };
      case "variable": {
        const [name = "$", ...fields] = token.text.split(".");
        return { kind: "chain", of: name, fields };
      }
      case "field":
        return { kind: "chain", of: null, fields: token.text.split(".").filter((field) => field !== "") };
      case "word":
        return this.#word(token.text);
      case "sign": {
        if (token.text !== "(") throw new SyntaxError(`unexpected ${JSON.stringify(token.text)} in operand`);
        const inner = this.#pipeline();
        if (!this.#take(")")) throw new SyntaxError("unclosed left paren");
        const next = this.#tokens[this.#at];
        const fields = next?.kind === "field" ? next.text.split(".").filter((field) => field !== "") : [];
        if (fields.length > 0) this.#at++;
        return { kind: "chain", of: inner, fields };
      }
    }
  }

  #word(name: string): Operand {
    if (name === "true" || name === "false") return { kind: "value", value: name === "true" };
    if (name === "nil") return { kind: "value", value: null };
    if (!this.#functions.has(name)) throw new SyntaxError(`function ${JSON.stringify(name)} not defined`);
    return { kind: "function", name };
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "sign" || token.text !== text) return false;
    this.#at++;
    return true;
  }
}

function numberOf(text: string): number | bigint {
  const plain = text.replaceAll("_", "");
  if (/^[+-]?(0[xX][0-9a-fA-F]+|\d+)$/.test(plain))
    return plain.startsWith("-") ? -BigInt(plain.slice(1)) : BigInt(plain.replace("+", ""));
  return Number(plain);
}

function unquote(text: string): string | bigint {
  if (text.startsWith("`")) return text.slice(1, -1);
  const body = text.slice(1, -1).replace(/\\(n|t|r|"|'|\\)/g, (_, c: string) => ESCAPES[c] ?? c);
  // A character between single quotes is its number.
  return text.startsWith("'") ? BigInt(body.codePointAt(0) ?? 0) : body;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
