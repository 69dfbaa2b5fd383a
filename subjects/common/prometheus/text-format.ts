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
 * `# EOF`. Metrics that are `known` from before keep their label sets, and new ones are added: most of a target's text is
 * the same each time.
 *
 * @throws SyntaxError naming the line: one bad line spoils the scrape, as in Prometheus.
 */
export function parseExposition(
  text: string,
  format: ExpositionFormat = "text",
  known: Map<string, Labels> = new Map(),
): Exposition {
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
    const sample = parseSample(open ? line.replace(EXEMPLAR, "") : line, open, known);
    if (sample === null) throw new SyntaxError(`line ${index + 1}: not a sample: ${line.slice(0, 80)}`);
    samples.push(sample);
  }
  return { samples, metadata };
}

const NAME_SHAPE = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_SHAPE = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,?)/y;
const VALUE_SHAPE = /\s*(\S+)(?:\s+(-?[\d.]+(?:e[+-]?\d+)?))?\s*$/y;
const EXEMPLAR = / # \{(?:[^"}]|"(?:[^"\\]|\\.)*")*\} \S+(?: \S+)?$/;

function parseSample(line: string, open: boolean, known: Map<string, Labels>): ScrapedSample | null {
  const end = line.includes("{") ? line.lastIndexOf("}") + 1 : line.search(/\s/);
  if (end <= 0) return null;
  const metric = line.slice(0, end);
  const labels = known.get(metric) ?? remembered(metric, known);
  VALUE_SHAPE.lastIndex = end;
  const match = VALUE_SHAPE.exec(line);
  const value = match === null ? null : parseFloatText(match[1] as string);
  if (labels === null || match === null || value === null || (!open && match[2]?.includes(".") === true)) return null;
  return { labels, value, timestampMs: stampOf(match[2], open) };
}

function remembered(metric: string, known: Map<string, Labels>): Labels | null {
  // A copy: a piece of the whole text would keep all of it in memory.
  const own = Buffer.from(metric).toString();
  const labels = parseMetric(own);
  if (labels !== null) known.set(own, labels);
  return labels;
}

/** `name{label="value"}`; null when it is none. */
function parseMetric(text: string): Labels | null {
  NAME_SHAPE.lastIndex = 0;
  const name = NAME_SHAPE.exec(text)?.[0];
  if (name === undefined) return null;
  const labels: [string, string][] = [[NAME, name]];
  let at = name.length;
  while (text[at] === " " || text[at] === "\t") at++;
  if (at === text.length) return { [NAME]: name };
  if (text[at] !== "{") return null;
  at++;
  for (;;) {
    LABEL_SHAPE.lastIndex = at;
    const match = LABEL_SHAPE.exec(text);
    if (match === null) break;
    if (match[2] !== "") labels.push([match[1] as string, unescape(match[2] as string)]);
    at = LABEL_SHAPE.lastIndex;
    if (match[3] === "") break;
  }
  while (text[at] === " ") at++;
  return text[at] === "}" && at === text.length - 1 ? Object.fromEntries(labels) : null;
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
