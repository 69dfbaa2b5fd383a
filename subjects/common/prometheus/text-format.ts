import { NAME, type Labels } from "./labels.ts";

export interface ScrapedSample {
  readonly labels: Labels;
  readonly value: number;
  /** Only when the target gave one. */
  readonly timestampMs: number | null;
}

export interface MetricMetadata {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export interface Exposition {
  readonly samples: readonly ScrapedSample[];
  readonly metadata: ReadonlyMap<string, MetricMetadata>;
}

/** As the reply's content type says. */
export type ExpositionFormat = "text" | "openmetrics";

export function formatOf(contentType: string): ExpositionFormat {
  return contentType.includes("application/openmetrics-text") ? "openmetrics" : "text";
}

/**
 * Prometheus text format 0.0.4, or OpenMetrics 1.0: its times are seconds, exemplars are passed over, and it ends with
 * `# EOF`.
 *
 * @throws SyntaxError naming the line: one bad line spoils the scrape, as in Prometheus.
 */
export function parseExposition(text: string, format: ExpositionFormat = "text"): Exposition {
  const samples: ScrapedSample[] = [];
  const metadata = new Map<string, { type: string; help: string; unit: string }>();
  const lines = text.split("\n");
  const open = format === "openmetrics";
  if (open && !/\n?# EOF\n?$/.test(text)) throw new SyntaxError("data does not end with # EOF");
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === "") continue;
    if (line.startsWith("#")) {
      const [, word, name, rest] = /^#\s+(HELP|TYPE|UNIT)\s+(\S+)\s*(.*)$/.exec(line) ?? [];
      if (name === undefined) continue;
      const about = metadata.get(name) ?? { type: "unknown", help: "", unit: "" };
      metadata.set(name, about);
      if (word === "TYPE") about.type = rest ?? "unknown";
      else if (word === "UNIT") about.unit = rest ?? "";
      else about.help = unescape(rest ?? "");
      continue;
    }
    const sample = parseSample(open ? line.replace(EXEMPLAR, "") : line, open);
    if (sample === null) throw new SyntaxError(`line ${index + 1}: not a sample: ${line.slice(0, 80)}`);
    samples.push(sample);
  }
  return { samples, metadata };
}

const NAME_SHAPE = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_SHAPE = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,?)/y;
const VALUE_SHAPE = /\s+(\S+)(?:\s+(-?[\d.]+(?:e[+-]?\d+)?))?\s*$/y;
const EXEMPLAR = / # \{(?:[^"}]|"(?:[^"\\]|\\.)*")*\} \S+(?: \S+)?$/;

function parseSample(line: string, open: boolean): ScrapedSample | null {
  NAME_SHAPE.lastIndex = 0;
  const name = NAME_SHAPE.exec(line)?.[0];
  if (name === undefined) return null;
  const labels: [string, string][] = [[NAME, name]];
  let at = name.length;
  while (line[at] === " " || line[at] === "\t") at++;
  if (line[at] === "{") {
    at++;
    for (;;) {
      LABEL_SHAPE.lastIndex = at;
      const match = LABEL_SHAPE.exec(line);
      if (match === null) break;
      if (match[2] !== "") labels.push([match[1] as string, unescape(match[2] as string)]);
      at = LABEL_SHAPE.lastIndex;
      if (match[3] === "") break;
    }
    while (line[at] === " ") at++;
    if (line[at] !== "}") return null;
    at++;
  } else at = name.length;
  VALUE_SHAPE.lastIndex = at;
  const match = VALUE_SHAPE.exec(
    line[at] === " " || line[at] === "\t" ? line : `${line.slice(0, at)} ${line.slice(at)}`,
  );
  const value = match === null ? null : parseFloatText(match[1] as string);
  if (match === null || value === null || (!open && match[2]?.includes(".") === true)) return null;
  return { labels: Object.fromEntries(labels), value, timestampMs: stampOf(match[2], open) };
}

/** Whole ms, or seconds with a fraction in OpenMetrics. */
function stampOf(text: string | undefined, open: boolean): number | null {
  if (text === undefined) return null;
  return open ? Math.round(Number(text) * 1_000) : Number(text);
}

/** As Go's `strconv.ParseFloat` reads metric values; null when it is no number. */
export function parseFloatText(text: string): number | null {
  if (/^[+]?inf(inity)?$/i.test(text)) return Infinity;
  if (/^-inf(inity)?$/i.test(text)) return -Infinity;
  if (/^nan$/i.test(text)) return NaN;
  if (/^[+-]?0x[0-9a-f]+$/i.test(text)) return (text.startsWith("-") ? -1 : 1) * Number(text.replace(/^[+-]/, ""));
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : null;
}

function unescape(text: string): string {
  return text.includes("\\") ? text.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c)) : text;
}
