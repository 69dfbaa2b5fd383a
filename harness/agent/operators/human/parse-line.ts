import type { Tool } from "../../../protocol.ts";
import { inputSchema } from "../../tool-schema.ts";

/** What a person typed, as the call that it stands for; or why it stands for none. */
export type ParsedLine =
  | { readonly ok: true; readonly tool: Tool; readonly input: Record<string, unknown>; readonly reason: string | null }
  | { readonly ok: false; readonly why: string };

/**
 * `container_restart {"component":"tikv1","reason":"…"}`, or `restart tikv1 -- it does not answer`: the tool's name or
 * its last word where that is clear, values in the order of its inputs (or `name=value`), and after `--` the reason.
 */
export function parseLine(line: string, tools: readonly Tool[]): ParsedLine {
  const [, name = "", rest = ""] = /^\s*(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
  const tool = findTool(name, tools);
  if (tool === null) return { ok: false, why: `there is no tool ${name}; help lists them` };
  if (rest.startsWith("{")) return parseJson(rest, tool);
  const [words, reason] = splitReason(rest);
  const filled = fill(wordsOf(words), propertiesOf(tool));
  return typeof filled === "string" ? { ok: false, why: filled } : { ok: true, tool, input: filled, reason };
}

/** By its name, or by what follows the first `_` of it where only one tool ends so: `restart`, `query`, `connect`. */
export function findTool(name: string, tools: readonly Tool[]): Tool | null {
  const exact = tools.find((tool) => tool.name === name);
  if (exact !== undefined) return exact;
  const short = tools.filter((tool) => shortName(tool.name) === name);
  return short.length === 1 ? (short[0] ?? null) : null;
}

export function shortName(name: string): string {
  return name.slice(name.indexOf("_") + 1);
}

/** How a call of this tool is typed: `restart <component> [grace_seconds=…] -- <reason>`. */
export function usageOf(tool: Tool): string {
  const parts = propertiesOf(tool).map(({ name, required }) => (required ? `<${name}>` : `[${name}=…]`));
  return [tool.name, ...parts, "-- <reason>"].join(" ");
}

function parseJson(text: string, tool: Tool): ParsedLine {
  try {
    const { reason = null, ...input } = JSON.parse(text) as Record<string, unknown>;
    return { ok: true, tool, input, reason: typeof reason === "string" ? reason : null };
  } catch (error) {
    return { ok: false, why: `not JSON: ${(error as Error).message}` };
  }
}

function splitReason(text: string): readonly [string, string | null] {
  const at = / -- |^-- /.exec(text);
  if (at === null) return [text, null];
  return [text.slice(0, at.index), text.slice(at.index + at[0].length).trim()];
}

/** Words as a shell would split them, as far as quotes go; nothing is expanded. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(
      /"([^"]*)"|'([^']*)'/g,
      (_, double: string | undefined, single: string | undefined) => double ?? single ?? "",
    ),
  );
}

interface Property {
  readonly name: string;
  readonly required: boolean;
  readonly type: "string" | "number" | "boolean" | "array" | "json";
}

/** Without `reason`, required ones first: the order in which values are typed. */
function propertiesOf(tool: Tool): readonly Property[] {
  const schema = inputSchema(tool) as {
    readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
    readonly required?: readonly string[];
  };
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => name !== "reason")
    .map(([name, { type }]) => ({ name, required: schema.required?.includes(name) === true, type: typeOf(type) }))
    .toSorted((a, b) => Number(b.required) - Number(a.required));
}

function typeOf(type: unknown): Property["type"] {
  if (type === "integer" || type === "number") return "number";
  return type === "string" || type === "boolean" || type === "array" ? type : "json";
}

/** A list takes all words that are left; the last text takes them too, so that a query needs no quotes. */
function fill(words: readonly string[], properties: readonly Property[]): Record<string, unknown> | string {
  const input: Record<string, unknown> = {};
  const plain: string[] = [];
  for (const word of words) {
    const [, name, value = ""] = /^([a-z_]+)=([\s\S]*)$/.exec(word) ?? [];
    const property = properties.find((known) => known.name === name);
    if (property === undefined) plain.push(word);
    else input[property.name] = convert(value, property);
  }
  const open = properties.filter((property) => property.required && !(property.name in input));
  for (const [index, property] of open.entries()) {
    if (plain.length === 0) break;
    const last = index === open.length - 1;
    if (property.type === "array") input[property.name] = plain.splice(0);
    else if (property.type === "string" && last) input[property.name] = plain.splice(0).join(" ");
    else input[property.name] = convert(plain.shift() ?? "", property);
  }
  return plain.length === 0 ? input : `too much: ${plain.join(" ")}; other inputs are named, as name=value`;
}

function convert(text: string, { type }: Property): unknown {
  switch (type) {
    case "string":
      return text;
    case "number":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "array":
      return text.split(",").filter((part) => part !== "");
    case "json":
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
  }
}
