import { formatGeneral } from "../go-format.ts";
import { parseTemplate, type Node, type Operand, type Pipeline } from "./parse.ts";

/** What templates handle. Floats are numbers, integers bigints; times are instants in ms. */
export type TemplateValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Moment
  | readonly TemplateValue[]
  | { readonly [field: string]: TemplateValue };

/** An instant, as `toTime` gives it. */
export class Moment {
  readonly timeMs: number;
  constructor(timeMs: number) {
    this.timeMs = timeMs;
  }
}

export type TemplateFunction = (...given: readonly TemplateValue[]) => TemplateValue;

export interface Template {
  /** @throws Error in the words of Go where something cannot be computed */
  expand(variables: Readonly<Record<string, TemplateValue>>, data: TemplateValue): string;
}

/** @throws SyntaxError saying what in the text is no template */
export function compileTemplate(text: string, functions: Readonly<Record<string, TemplateFunction>>): Template {
  const nodes = parseTemplate(text, new Set(Object.keys(functions)));
  return {
    expand: (variables, data) => new Execution(functions, variables).nodes(nodes, data),
  };
}

class Execution {
  readonly #functions: Readonly<Record<string, TemplateFunction>>;
  readonly #scopes: Map<string, TemplateValue>[];

  constructor(
    functions: Readonly<Record<string, TemplateFunction>>,
    variables: Readonly<Record<string, TemplateValue>>,
  ) {
    this.#functions = functions;
    this.#scopes = [new Map(Object.entries(variables))];
  }

  nodes(nodes: readonly Node[], dot: TemplateValue): string {
    return nodes.map((node) => this.#node(node, dot)).join("");
  }

  #node(node: Node, dot: TemplateValue): string {
    if (node.kind === "text") return node.text;
    if (node.kind === "print") {
      const value = this.#pipeline(node.pipeline, dot);
      if (node.pipeline.variables.length === 0) return show(value);
      this.#assign(node.pipeline, [value]);
      return "";
    }
    return this.#scoped(() => {
      const value = this.#pipeline(node.pipeline, dot);
      if (node.kind === "range") return this.#range(node, value, dot);
      this.#assign(node.pipeline, [value]);
      if (!truth(value)) return this.nodes(node.otherwise, dot);
      return this.nodes(node.body, node.kind === "with" ? value : dot);
    });
  }

  #range(node: Extract<Node, { pipeline: Pipeline; body: readonly Node[] }>, value: TemplateValue, dot: TemplateValue) {
    const entries: (readonly [TemplateValue, TemplateValue])[] = Array.isArray(value)
      ? value.map((item: TemplateValue, index) => [BigInt(index), item] as const)
      : isMap(value)
        ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
        : [];
    if (!Array.isArray(value) && !isMap(value) && value !== null)
      throw new Error(`range can't iterate over ${show(value)}`);
    if (entries.length === 0) return this.nodes(node.otherwise, dot);
    return entries
      .map(([key, item]) =>
        this.#scoped(() => {
          this.#assign(node.pipeline, node.pipeline.variables.length === 2 ? [key, item] : [item]);
          return this.nodes(node.body, item);
        }),
      )
      .join("");
  }

  #scoped(run: () => string): string {
    this.#scopes.push(new Map());
    try {
      return run();
    } finally {
      this.#scopes.pop();
    }
  }

  #assign({ variables, declares }: Pipeline, values: readonly TemplateValue[]): void {
    for (const [index, name] of variables.entries()) {
      const scope = declares ? this.#scopes.at(-1) : this.#scopes.findLast((each) => each.has(name));
      if (scope === undefined) throw new Error(`undefined variable ${JSON.stringify(name)}`);
      scope.set(name, values[index] ?? null);
    }
  }

  #pipeline({ commands }: Pipeline, dot: TemplateValue): TemplateValue {
    let value: TemplateValue | undefined;
    for (const [first, ...rest] of commands) {
      const given = rest.map((operand) => this.#operand(operand, dot));
      if (value !== undefined) given.push(value);
      if (first.kind === "function") value = this.#call(first.name, given);
      else if (given.length > 0)
        throw new Error(`can't give argument to non-function ${show(this.#operand(first, dot))}`);
      else value = this.#operand(first, dot);
    }
    return value ?? null;
  }

  #call(name: string, given: readonly TemplateValue[]): TemplateValue {
    const run = this.#functions[name] as TemplateFunction;
    try {
      return run(...given);
    } catch (error) {
      throw new Error(`error calling ${name}: ${error instanceof Error ? error.message : ""}`, { cause: error });
    }
  }

  #operand(operand: Operand, dot: TemplateValue): TemplateValue {
    switch (operand.kind) {
      case "value":
        return operand.value;
      case "function":
        return this.#call(operand.name, []);
      case "chain": {
        const { of, fields } = operand;
        const start = of === null ? dot : typeof of === "string" ? this.#variable(of) : this.#pipeline(of, dot);
        return fields.reduce<TemplateValue>(fieldOf, start);
      }
    }
  }

  #variable(name: string): TemplateValue {
    for (const scope of this.#scopes.toReversed()) {
      const value = scope.get(name);
      if (value !== undefined) return value;
    }
    throw new Error(`undefined variable ${JSON.stringify(name)}`);
  }
}

/** A missing key of a map is its zero value, as with Prometheus' `missingkey=zero`. */
function fieldOf(value: TemplateValue, field: string): TemplateValue {
  if (isMap(value)) return Object.hasOwn(value, field) ? (value[field] ?? null) : "";
  throw new Error(`can't evaluate field ${field} in type ${typeName(value)}`);
}

function isMap(value: TemplateValue): value is { readonly [field: string]: TemplateValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Moment);
}

export function typeName(value: TemplateValue): string {
  if (typeof value === "number") return "float64";
  if (typeof value === "bigint") return "int";
  if (typeof value === "boolean") return "bool";
  if (value instanceof Moment) return "time.Time";
  return typeof value === "string" ? "string" : isMap(value) ? "map[string]string" : "template.queryResult";
}

export function truth(value: TemplateValue): boolean {
  if (value === null || value === "" || value === 0 || value === 0n || value === false) return false;
  if (Array.isArray(value)) return value.length > 0;
  return isMap(value) ? Object.keys(value).length > 0 : true;
}

/** As Go's `fmt.Fprint` writes it. */
export function show(value: TemplateValue): string {
  if (value === null) return "<no value>";
  if (typeof value === "number") return formatGeneral(value);
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (value instanceof Moment) return showTime(value.timeMs);
  if (isMap(value)) {
    const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, item]) => `${key}:${show(item)}`).join(" ")}]`;
  }
  return String(value);
}

/** `2015-10-21 07:28:00.5 +0000 UTC` */
function showTime(timeMs: number): string {
  const [date = "", time = ""] = new Date(timeMs).toISOString().replace("Z", "").split("T");
  return `${date} ${time.replace(/\.0+$|(\.\d*?)0+$/, "$1")} +0000 UTC`;
}
