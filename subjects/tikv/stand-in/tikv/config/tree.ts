import { parse as parseToml } from "smol-toml";
import { ConfigError, errorText } from "../../../../../harness/base/errors.ts";
import { namedLevel } from "../../node-log.ts";
import { DEFAULTS } from "./defaults.ts";
import { durationMs, durationText, sizeBytes, sizeText } from "./readable.ts";

/** Nested tables, kebab-case, as `GET /config` shows them. */
export type ConfigTree = Readonly<Record<string, unknown>>;

/** What an item holds, told from its default. */
export type Kind = "boolean" | "integer" | "float" | "size" | "duration" | "text" | "level" | "list" | "table" | "any";

/** Sections of which the defaults name every item: others there are unknown. */
const WHOLE: ReadonlySet<string> = new Set(["log", "server", "storage", "pd", "raftstore", "coprocessor", "readpool"]);
/** Old names at the top level, still read without a word. */
const OLD: ReadonlySet<string> = new Set(["log-level", "log-file", "log-format", "log-rotation-size"]);
/** Ratios whose default happens to be written without a fraction, and those that have one. */
const FLOAT = /(?:ratio|high-water|score|threshold-ratio)$/;

export function isTable(value: unknown): value is ConfigTree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What stands at a dotted path; undefined = nothing. */
export function itemAt(tree: ConfigTree, path: string): unknown {
  return path.split(".").reduce<unknown>((at, key) => (isTable(at) ? at[key] : undefined), tree);
}

/** The same tree with one item changed. */
export function withItem(tree: ConfigTree, path: string, value: unknown): ConfigTree {
  const [key = "", ...rest] = path.split(".");
  if (rest.length === 0) return { ...tree, [key]: value };
  const below = tree[key];
  return { ...tree, [key]: withItem(isTable(below) ? below : {}, rest.join("."), value) };
}

/** `over` wins; tables are merged. */
export function mergedConfig(base: ConfigTree, over: ConfigTree): ConfigTree {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTable(below) && isTable(value) ? mergedConfig(below, value) : value;
  }
  return result;
}

/** Every item that is not a table, by dotted path. Labels are one item. */
export function* items(tree: ConfigTree, prefix = ""): Generator<readonly [path: string, value: unknown]> {
  for (const [key, value] of Object.entries(tree)) {
    const path = prefix + key;
    if (isTable(value) && path !== "server.labels") yield* items(value, `${path}.`);
    else yield [path, value];
  }
}

export function kindOf(path: string): Kind {
  if (path === "log.level") return "level";
  const value = itemAt(DEFAULTS, path);
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "bigint") return "integer";
  if (typeof value === "number") return Number.isInteger(value) && !FLOAT.test(path) ? "integer" : "float";
  if (Array.isArray(value)) return "list";
  if (isTable(value)) return "table";
  if (typeof value !== "string") return "any";
  if (/^[\d.]+(?:[KMGTP]i)?B$/.test(value)) return "size";
  return /^\d+(?:d|h|m|s|ms)/.test(value) ? "duration" : "text";
}

/** The item as it is kept, from what a file or a request says. Null = it cannot be that. */
export function parsedItem(kind: Kind, value: unknown): { readonly value: unknown } | null {
  switch (kind) {
    case "level":
      return typeof value === "string" && namedLevel(value) !== null ? { value } : null;
    case "any":
      return { value };
    case "boolean":
      return typeof value === "boolean" ? { value } : null;
    case "integer":
      return (typeof value === "number" && Number.isInteger(value) && value >= 0) || typeof value === "bigint"
        ? { value }
        : null;
    case "float":
      return typeof value === "number" ? { value } : null;
    case "list":
      return Array.isArray(value) ? { value } : null;
    case "table":
      return isTable(value) ? { value } : null;
    case "text":
      return typeof value === "string" ? { value } : null;
    case "size": {
      const bytes = typeof value === "number" ? value : typeof value === "string" ? sizeBytes(value) : null;
      return bytes === null ? null : { value: sizeText(bytes) };
    }
    case "duration": {
      const ms = typeof value === "string" ? durationMs(value) : null;
      return ms === null ? null : { value: durationText(ms) };
    }
  }
}

/** The same from text, as in `POST /config`, where every value is text. */
export function parsedText(kind: Kind, text: string): { readonly value: unknown } | null {
  const bare = text.replace(/^"+|"+$/g, "");
  if (kind === "boolean") return bare === "true" || bare === "false" ? { value: bare === "true" } : null;
  if (kind === "integer") return /^\d+$/.test(bare) ? { value: Number(bare) } : null;
  if (kind === "float") return bare !== "" && Number.isFinite(Number(bare)) ? { value: Number(bare) } : null;
  return kind === "list" || kind === "table" ? null : parsedItem(kind, bare);
}

/**
 * A configuration file. @returns what it says, and the keys that TiKV does not know; those are ignored.
 * @throws ConfigError when it is not TOML, or an item holds what it cannot hold.
 */
export function parseConfig(text: string): { readonly tree: ConfigTree; readonly unknown: readonly string[] } {
  let raw: ConfigTree;
  try {
    raw = parseToml(text, { integersAsBigInt: "asNeeded" });
  } catch (error) {
    throw new ConfigError(errorText(error));
  }
  const unknown: string[] = [];
  let tree: ConfigTree = {};
  for (const [path, value] of items(raw)) {
    const [section = ""] = path.split(".");
    if (itemAt(DEFAULTS, path) === undefined && !OLD.has(path)) {
      if (WHOLE.has(section) || !path.includes(".") || !(section in DEFAULTS)) unknown.push(path);
      else tree = withItem(tree, path, value);
      continue;
    }
    const parsed = OLD.has(path) ? { value } : parsedItem(kindOf(path), value);
    if (parsed === null) throw new ConfigError(wrongType(path, value));
    tree = withItem(tree, path, parsed.value);
  }
  return { tree, unknown };
}

/** As serde says it. */
function wrongType(path: string, value: unknown): string {
  const kind = kindOf(path);
  const expected: Readonly<Record<Kind, string>> = {
    boolean: "a boolean",
    integer: "usize",
    float: "f64",
    size: "valid size",
    duration: "valid duration",
    text: "a string",
    level: "a log level",
    list: "a sequence",
    table: "a map",
    any: "a value",
  };
  const got =
    typeof value === "string"
      ? `string ${JSON.stringify(value)}`
      : typeof value === "boolean"
        ? `boolean \`${value}\``
        : typeof value === "number"
          ? `${Number.isInteger(value) ? "integer" : "floating point"} \`${value}\``
          : Array.isArray(value)
            ? "sequence"
            : "map";
  return `invalid type: ${got}, expected ${expected[kind]} for key \`${path}\``;
}
