import { parseDuration } from "../duration.ts";
import { formatDecimals, formatGeneral, formatScientific } from "../go-format.ts";
import type { Labels } from "../labels.ts";
import { compileRegex } from "../regex.ts";
import { parseFloatText } from "../text-format.ts";
import { Moment, show, truth, typeName, type TemplateFunction, type TemplateValue } from "./execute.ts";

export interface TemplateEnvironment {
  /** An instant query at the time of the evaluation. */
  query(text: string): readonly { readonly labels: Labels; readonly value: number }[];
  readonly externalUrl: string;
}

/** Prometheus' template functions (template/template.go) and those of Go's `text/template`. */
export function templateFunctions(environment: TemplateEnvironment): Readonly<Record<string, TemplateFunction>> {
  return {
    ...GO,
    ...HUMAN,
    ...TEXT,
    query: (text) =>
      environment.query(stringOf(text)).map(({ labels, value }) => ({ Labels: { ...labels }, Value: value })),
    first: (list) => {
      if (!Array.isArray(list) || list.length === 0) throw new Error("first() called on vector with no elements");
      return list[0] as TemplateValue;
    },
    label: (name, sample) => field(field(sample, "Labels"), stringOf(name)),
    value: (sample) => field(sample, "Value"),
    strvalue: (sample) => field(field(sample, "Labels"), "__value__"),
    sortByLabel: (name, list) => {
      const key = (sample: TemplateValue) => String(field(field(sample, "Labels"), stringOf(name)));
      return Array.isArray(list) ? list.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)) : [];
    },
    args: (...given) => Object.fromEntries(given.map((value, index) => [`arg${index}`, value])),
    externalURL: () => environment.externalUrl,
    pathPrefix: () =>
      environment.externalUrl === "" ? "" : new URL(environment.externalUrl).pathname.replace(/\/$/, ""),
  };
}

function field(value: TemplateValue | undefined, name: string): TemplateValue {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return "";
  return (value as Readonly<Record<string, TemplateValue>>)[name] ?? "";
}

function stringOf(value: TemplateValue | undefined): string {
  if (typeof value === "string") return value;
  throw new Error(`wrong type for value; expected string; got ${typeName(value ?? null)}`);
}

function floatOf(value: TemplateValue | undefined): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "string") throw new Error(`can't convert ${typeName(value ?? null)} to float`);
  const parsed = parseFloatText(value);
  if (parsed === null) throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`);
  return parsed;
}

/** Divided or multiplied until it fits: `1.235k`, `12.5m`. */
function scaled(value: number, prefixes: readonly string[], fits: (value: number) => boolean, step: number): string {
  let prefix = "";
  for (const next of prefixes) {
    if (fits(value)) break;
    prefix = next;
    value *= step;
  }
  return formatGeneral(value, 4) + prefix;
}
const LARGE = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return formatGeneral(value, 4);
  if (value === 0) return "0s";
  if (Math.abs(value) < 1) return `${scaled(value, SMALL, (v) => Math.abs(v) >= 1, 1_000)}s`;
  const sign = value < 0 ? "-" : "";
  const all = Math.trunc(Math.abs(value));
  const [seconds, minutes, hours] = [all % 60, Math.trunc(all / 60) % 60, Math.trunc(all / 3_600) % 24];
  const days = Math.trunc(all / 86_400);
  if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
  if (hours > 0) return `${sign}${hours}h ${minutes}m ${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m ${seconds}s`;
  return `${sign}${formatGeneral(Math.abs(value), 4)}s`;
}

const HUMAN: Readonly<Record<string, TemplateFunction>> = {
  humanize: (given) => {
    const value = floatOf(given);
    if (value === 0 || !Number.isFinite(value)) return formatGeneral(value, 4);
    if (Math.abs(value) >= 1) return divided(value, LARGE, 1_000);
    return scaled(value, SMALL, (v) => Math.abs(v) >= 1, 1_000);
  },
  humanize1024: (given) => {
    const value = floatOf(given);
    if (Math.abs(value) <= 1 || !Number.isFinite(value)) return formatGeneral(value, 4);
    return divided(value, BINARY, 1_024);
  },
  humanizeDuration: (given) => humanizeDuration(floatOf(given)),
  humanizePercentage: (given) => `${formatGeneral(floatOf(given) * 100, 4)}%`,
  humanizeTimestamp: (given) => {
    const value = floatOf(given);
    return Number.isFinite(value) ? show(new Moment(Math.trunc(value * 1_000))) : formatGeneral(value, 4);
  },
  toTime: (given) => {
    const value = floatOf(given);
    if (!Number.isFinite(value)) throw new Error("value is NaN or Inf");
    return new Moment(Math.trunc(value * 1_000));
  },
  parseDuration: (given) => {
    const ms = parseDuration(stringOf(given));
    if (ms === null) throw new Error(`not a valid duration string: ${JSON.stringify(given)}`);
    return ms / 1_000;
  },
};

function divided(value: number, prefixes: readonly string[], step: number): string {
  let prefix = "";
  for (const next of prefixes) {
    if (Math.abs(value) < step) break;
    prefix = next;
    value /= step;
  }
  return formatGeneral(value, 4) + prefix;
}

const HOST_PORT = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/;
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;

const TEXT: Readonly<Record<string, TemplateFunction>> = {
  title: (text) =>
    stringOf(text).replace(/\p{L}[\p{L}\p{N}_']*/gu, (word) => word.slice(0, 1).toUpperCase() + word.slice(1)),
  toUpper: (text) => stringOf(text).toUpperCase(),
  toLower: (text) => stringOf(text).toLowerCase(),
  safeHtml: (text) => stringOf(text),
  match: (pattern, text) => compileRegex(stringOf(pattern)).found(stringOf(text)),
  reReplaceAll: (pattern, replacement, text) =>
    compileRegex(stringOf(pattern)).replaceAll(stringOf(text), stringOf(replacement)),
  stripPort: (text) => {
    const match = HOST_PORT.exec(stringOf(text));
    return match === null ? stringOf(text) : (match[1] ?? match[2] ?? "");
  },
  stripDomain: (text) => {
    const match = HOST_PORT.exec(stringOf(text));
    const host = match === null ? stringOf(text) : (match[1] ?? match[2] ?? "");
    if (ADDRESS.test(host)) return stringOf(text);
    const [first = ""] = host.split(".");
    return match?.[3] === undefined || match[3] === "" ? first : `${first}:${match[3]}`;
  },
  graphLink: (expr) => `/graph?g0.expr=${encoded(stringOf(expr))}&g0.tab=0`,
  tableLink: (expr) => `/graph?g0.expr=${encoded(stringOf(expr))}&g0.tab=1`,
};

/** `url.QueryEscape` */
function encoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1).replaceAll("*", "%2A");
}

/** Of one kind, as Go's own comparisons demand. */
function compared(a: TemplateValue | undefined, b: TemplateValue | undefined): number {
  if (typeof a !== typeof b) throw new Error("incompatible types for comparison");
  if (typeof a !== "string" && typeof a !== "number" && typeof a !== "bigint" && typeof a !== "boolean")
    throw new Error("invalid type for comparison");
  const [x, y] = [a, b as typeof a];
  return x < y ? -1 : x > y ? 1 : x === y ? 0 : NaN;
}

const HTML: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&#34;" };

const GO: Readonly<Record<string, TemplateFunction>> = {
  eq: (first, ...others) => others.some((other) => compared(first, other) === 0),
  ne: (a, b) => compared(a, b) !== 0,
  lt: (a, b) => compared(a, b) < 0,
  le: (a, b) => compared(a, b) <= 0,
  gt: (a, b) => compared(a, b) > 0,
  ge: (a, b) => compared(a, b) >= 0,
  and: (...given) => given.find((value) => !truth(value)) ?? given.at(-1) ?? null,
  or: (...given) => given.find(truth) ?? given.at(-1) ?? null,
  not: (value) => !truth(value ?? null),
  len: (value) => {
    if (typeof value === "string") return BigInt(Buffer.byteLength(value));
    if (Array.isArray(value)) return BigInt(value.length);
    if (typeof value === "object" && value !== null) return BigInt(Object.keys(value).length);
    throw new Error(`len of type ${typeName(value ?? null)}`);
  },
  index: (of, ...keys) =>
    keys.reduce<TemplateValue>((value, key) => {
      if (!Array.isArray(value)) return field(value, stringOf(key));
      const item = value[Number(key)] as TemplateValue | undefined;
      if (item === undefined) throw new Error(`index out of range: ${String(key)}`);
      return item;
    }, of ?? null),
  print: (...given) => printed(given),
  println: (...given) => `${given.map(show).join(" ")}\n`,
  printf: (format, ...given) => printf(stringOf(format), given),
  html: (...given) => printed(given).replace(/[<>&'"]/g, (c) => HTML[c] ?? c),
  urlquery: (...given) => encoded(printed(given)),
};

/** Spaces between two operands of which neither is a string. */
function printed(given: readonly TemplateValue[]): string {
  return given
    .map((value, index) =>
      index > 0 && typeof value !== "string" && typeof given[index - 1] !== "string" ? ` ${show(value)}` : show(value),
    )
    .join("");
}

/** Go's verbs with flags, width and precision; what it would not print is marked as Go marks it. */
function printf(format: string, given: readonly TemplateValue[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+ 0#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width?: string, precision?: string, verb = "") => {
      if (verb === "%") return "%";
      if (next >= given.length) return `%!${verb}(MISSING)`;
      const value = given[next++] as TemplateValue;
      const digits = precision === undefined ? undefined : Number(precision);
      let body = verbText(verb, value, digits);
      if (flags.includes("+") && (typeof value === "number" || typeof value === "bigint") && !body.startsWith("-"))
        body = `+${body.replace(/^\+/, "")}`;
      const size = Number(width ?? 0);
      if (flags.includes("-")) return body.padEnd(size);
      if (flags.includes("0") && /^[-+]?\d/.test(body))
        return body.replace(/\d.*/, (d) => d.padStart(size - body.length + d.length, "0"));
      return body.padStart(size);
    },
  );
  return next < given.length
    ? `${text}%!(EXTRA ${given
        .slice(next)
        .map((value) => `${typeName(value)}=${show(value)}`)
        .join(", ")})`
    : text;
}

function verbText(verb: string, value: TemplateValue, digits: number | undefined): string {
  if (verb === "v" || (verb === "s" && typeof value !== "number" && typeof value !== "bigint")) return show(value);
  if (verb === "q" && typeof value === "string") return JSON.stringify(value);
  if (verb === "t" && typeof value === "boolean") return String(value);
  if (typeof value === "bigint") {
    if (verb === "d") return String(value);
    if (verb === "x") return value.toString(16);
  }
  if (typeof value === "number") {
    if ("fF".includes(verb)) return Number.isFinite(value) ? formatDecimals(value, digits ?? 6) : formatGeneral(value);
    if (verb === "e") return formatScientific(value, digits ?? 6);
    if (verb === "g") return formatGeneral(value, digits);
  }
  return `%!${verb}(${typeName(value)}=${show(value)})`;
}
