import { parseDuration } from "../../../subjects/common/prometheus/duration.ts";
import { parseFloatText } from "../../../subjects/common/prometheus/text-format.ts";
import { parseMatchers } from "../../../subjects/common/prometheus/promql/parse.ts";

/**
 * The language of Prometheus' own query tests (promql/promqltest/README.md), as far as it is about floats. A value is
 * null where a sample is left out.
 */
export type Command =
  | { readonly kind: "clear" }
  | {
      readonly kind: "load";
      readonly stepMs: number;
      readonly series: readonly ScriptSeries[];
      /** Names of metrics with native histograms, which are left out. */
      readonly native: readonly string[];
    }
  | Evaluation;

export interface ScriptSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (number | "stale" | null)[];
}

export interface Evaluation {
  readonly kind: "eval";
  readonly line: number;
  readonly text: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 = one instant. */
  readonly stepMs: number;
  readonly fails: boolean;
  readonly ordered: boolean;
  /** Series, a scalar (without labels), or a text. */
  readonly expected: readonly (ScriptSeries | { readonly scalar: number } | { readonly string: string })[];
  /** It expects native histograms, or a form that is not read here. */
  readonly native: boolean;
}

export function parseScript(text: string): Command[] {
  const lines = text.split("\n").map((line, index) => ({ line: index + 1, text: line.trim() }));
  const used = lines.filter((line) => line.text !== "" && !line.text.startsWith("#"));
  const isHead = (line: string | undefined) => line === undefined || /^(clear|load|eval)/.test(line);
  const commands: Command[] = [];
  for (let at = 0; at < used.length;) {
    const head = used[at++] as (typeof used)[number];
    const body: string[] = [];
    while (!isHead(used[at]?.text)) body.push(used[at++]?.text ?? "");
    commands.push(commandOf(head.text, body, head.line));
  }
  return commands;
}

function commandOf(head: string, body: readonly string[], line: number): Command {
  if (head === "clear") return { kind: "clear" };
  const [, nhcb, step = ""] = /^load(_with_nhcb)?\s+(\S+)$/.exec(head) ?? [];
  if (step !== "")
    return {
      kind: "load",
      stepMs: durationOf(step),
      native: body.filter((row) => nhcb !== undefined || row.includes("{{")).map(nameOf),
      // Of two lines for the same series the second counts.
      series: [
        ...new Map(body.filter((row) => !row.includes("{{")).map((row) => [metricOf(row), seriesOf(row)])).values(),
      ],
    };
  const instant = /^eval(_\w+)?\s+instant\s+at\s+(\S+)\s+([\s\S]+)$/.exec(head);
  const range = /^eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+([\s\S]+)$/.exec(head);
  const [, way, from = "", to = from, every = "", query = ""] =
    instant === null ? (range ?? []) : [instant[0], instant[1], instant[2], instant[2], "", instant[3]];
  if (query === "") throw new Error(`line ${line}: not understood: ${head}`);
  const rows = body.filter((row) => !/^(expect (info|no_info|warn|no_warn|fail|ordered)|expected_fail)/.test(row));
  const native = rows.some((row) => row.includes("{{") || row.startsWith("expect range vector"));
  return {
    kind: "eval",
    line,
    text: query,
    startMs: durationOf(from),
    endMs: durationOf(to),
    stepMs: every === "" ? 0 : durationOf(every),
    fails: way === "_fail" || body.some((row) => row.startsWith("expect fail")),
    ordered: way === "_ordered" || body.includes("expect ordered"),
    expected: native ? [] : rows.map(expectedOf),
    native,
  };
}

/** A number alone is seconds. */
function durationOf(text: string): number {
  const negative = text.startsWith("-");
  const plain = text.replace(/^-/, "");
  const ms = /^[\d.]+$/.test(plain) ? Number(plain) * 1_000 : parseDuration(plain);
  if (ms === null) throw new Error(`not a duration: ${text}`);
  return negative ? -ms : ms;
}

function expectedOf(row: string): Evaluation["expected"][number] {
  const [, string] = /^expect string\s+(.*)$/.exec(row) ?? [];
  if (string !== undefined) return { string: string.slice(1, -1) };
  const scalar = numberOf(row);
  return scalar === null ? seriesOf(row) : { scalar };
}

function numberOf(text: string): number | null {
  return parseFloatText(text.replaceAll("_", ""));
}

/** A name, labels, or both; before a native histogram, whose braces are doubled, there is a space. */
const METRIC = /^(?:[^\s{]*\{(?!\{)(?:[^"}]|"(?:[^"\\]|\\.)*")*\}|[^\s{]+)/;

function metricOf(row: string): string {
  return row.match(METRIC)?.[0].trim() ?? "";
}

/** Of a classic histogram that is converted, the name that the native one gets. */
function nameOf(row: string): string {
  return metricOf(row)
    .replace(/\{.*$/, "")
    .replace(/_(bucket|count|sum)$/, "");
}

function seriesOf(row: string): ScriptSeries {
  const [, metric = "", values = ""] = /^((?:[^\s{]*\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})|[^\s{]+)\s*(.*)$/.exec(row) ?? [];
  const labels = Object.fromEntries(
    metric === "{}"
      ? []
      : parseMatchers(metric)
          .map(({ name, value }) => [name, value] as const)
          .filter(([, value]) => value !== ""),
  );
  return {
    labels,
    values: values
      .split(/\s+/)
      .filter((token) => token !== "")
      .flatMap(valuesOf),
  };
}

function valuesOf(token: string): (number | "stale" | null)[] {
  const [, base = "", step = "", times] =
    /^(_|stale|[+-]?(?:Inf|NaN|[\d.]+(?:e[+-]?\d+)?))([+-][\d.]+(?:e[+-]?\d+)?)?(?:x(\d+))?$/i.exec(token) ?? [];
  if (base === "") throw new Error(`not a value: ${token}`);
  if (base === "_") return Array.from({ length: Number(times ?? 1) }, () => null);
  if (base === "stale") return ["stale"];
  const first = parseFloatText(base) as number;
  if (times === undefined) return [first];
  // Added up, not multiplied: as there.
  const values = [first];
  for (let n = 0; n < Number(times); n++) values.push((values.at(-1) as number) + Number(step));
  return values;
}
