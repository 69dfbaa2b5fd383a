import { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import type { Tool, ToolResult } from "../../protocol.ts";
import { reason, refused, said } from "./shared.ts";

type Labels = Readonly<Record<string, string>>;
type Point = readonly [timeSeconds: number, value: number];
type Series =
  { readonly labels: Labels; readonly point: Point } | { readonly labels: Labels; readonly points: readonly Point[] };

/** What a subject's kit brings; its failures are HarnessErrors `timeout` and `subject-failed` with the server's words. */
export interface PrometheusApi {
  instant(query: string, signal: AbortSignal, options?: { readonly time?: number }): Promise<QueryResult>;
  range(
    query: string,
    options: { readonly start: number; readonly end: number; readonly step: number },
    signal: AbortSignal,
  ): Promise<QueryResult>;
  labels(
    options: { readonly name?: string; readonly match?: readonly string[] },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  targets(signal: AbortSignal): Promise<
    readonly {
      readonly labels: Labels;
      readonly health: string;
      readonly lastError: string;
      readonly lastScrape: string | null;
    }[]
  >;
  /** Pending and firing ones. */
  alerts(signal: AbortSignal): Promise<
    readonly {
      readonly labels: Labels;
      readonly annotations: Labels;
      readonly state: string;
      readonly activeAt: string | null;
      readonly value: string;
    }[]
  >;
  alertingRules(signal: AbortSignal): Promise<
    readonly {
      readonly name: string;
      readonly query: string;
      readonly forSeconds: number;
      readonly labels: Labels;
      readonly annotations: Labels;
      readonly state: string;
      readonly health: string;
      readonly lastError: string;
    }[]
  >;
}

type QueryResult =
  | { readonly type: "vector" | "matrix"; readonly series: readonly Series[] }
  | { readonly type: "scalar"; readonly point: Point }
  | { readonly type: "string"; readonly text: string };

const MAX_SERIES = 100;

/** One series a line; many are cut with a count, so that none is missed silently. */
function shown(result: QueryResult): ToolResult {
  if (result.type === "string") return said(result.text);
  if (result.type === "scalar") return said(number(result.point[1]));
  if (result.series.length === 0) return said("no series: nothing matches, or nothing was scraped lately");
  const lines = result.series.slice(0, MAX_SERIES).map((series) => {
    const points = "point" in series ? [series.point] : series.points;
    return `${named(series.labels)} ${points.map(([at, value]) => `${number(value)} @${at}`).join(" ")}`;
  });
  const more = result.series.length - lines.length;
  return said([...lines, ...(more > 0 ? [`… and ${more} more series: aggregate or filter`] : [])].join("\n"));
}

/** As Prometheus writes it: name{label="value"}. */
function named({ __name__ = "", ...labels }: Labels): string {
  return `${__name__}{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`;
}

const number = (value: number): string => String(value);

const promql = z.string().min(1).max(4_000).describe("PromQL");
const queryInput = z.strictObject({
  query: promql,
  seconds_ago: z.number().min(0).max(86_400).default(0).describe("evaluate as of so long ago"),
  reason,
});

export function prometheusQuery(api: PrometheusApi, clock: Clock): Tool<typeof queryInput> {
  return {
    name: "prometheus_query",
    description: "Evaluate a PromQL expression at one instant: one series a line, with value @unix seconds.",
    input: queryInput,
    effect: () => "read",
    run: async ({ query, seconds_ago }, signal) =>
      shown(await api.instant(query, signal, { time: clock.now() / 1_000 - seconds_ago })),
  };
}

const rangeInput = z.strictObject({
  query: promql,
  minutes: z.number().positive().max(1_440).default(10).describe("how far back"),
  step_seconds: z.number().min(1).max(3_600).default(15),
  reason,
});

/** More points than this are refused: nobody reads them and they would be paid for. */
const MAX_POINTS = 500;

export function prometheusQueryRange(api: PrometheusApi, clock: Clock): Tool<typeof rangeInput> {
  return {
    name: "prometheus_query_range",
    description:
      "Evaluate a PromQL expression over the last minutes: one series a line, value @unix seconds each step.",
    input: rangeInput,
    effect: () => "read",
    run: async ({ query, minutes, step_seconds }, signal) => {
      if ((minutes * 60) / step_seconds > MAX_POINTS)
        return refused(`more than ${MAX_POINTS} points a series: take a longer step or fewer minutes`);
      const end = Math.round(clock.now() / 1_000);
      return shown(await api.range(query, { start: end - minutes * 60, end, step: step_seconds }, signal));
    },
  };
}

const labelsInput = z.strictObject({
  label: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
    .default("__name__")
    .describe("values of this label; __name__ = the names of all metrics"),
  contains: z.string().max(200).optional().describe("only values that contain this text"),
  reason,
});

export function prometheusLabels(api: PrometheusApi): Tool<typeof labelsInput> {
  return {
    name: "prometheus_labels",
    description: "Which values a label has; by default the names of all metrics.",
    input: labelsInput,
    effect: () => "read",
    run: async ({ label, contains = "" }, signal) => {
      const values = (await api.labels({ name: label }, signal)).filter((value) => value.includes(contains));
      return said(values.length === 0 ? "no such values" : values.join("\n"));
    },
  };
}

const targetsInput = z.strictObject({ reason });

export function prometheusTargets(api: PrometheusApi): Tool<typeof targetsInput> {
  return {
    name: "prometheus_targets",
    description: "What Prometheus scrapes: labels, up or down, last scrape and last error.",
    input: targetsInput,
    effect: () => "read",
    run: async (_, signal) => {
      const lines = (await api.targets(signal)).map(({ labels, health, lastScrape, lastError }) =>
        JSON.stringify({ ...labels, health, last_scrape: lastScrape, last_error: lastError }),
      );
      return said(lines.length === 0 ? "no targets" : lines.join("\n"));
    },
  };
}

const alertsInput = z.strictObject({
  all_rules: z.boolean().default(false).describe("also list the rules, with what they ask and how long it has to last"),
  reason,
});

export function prometheusAlerts(api: PrometheusApi): Tool<typeof alertsInput> {
  return {
    name: "prometheus_alerts",
    description:
      "Which alerts are firing or pending in Prometheus, since when and with which value; optionally all alerting rules.",
    input: alertsInput,
    effect: () => "read",
    run: async ({ all_rules }, signal) => {
      const rules = await api.alertingRules(signal);
      // Not the same as "all is well", and an empty list would look like it.
      if (rules.length === 0) return said("Prometheus has no alerting rules loaded: it can raise no alert");
      const alerts = await api.alerts(signal);
      const firing = alerts.filter(({ state }) => state === "firing").length;
      const broken = rules.filter(({ health }) => health === "err").length;
      return said(
        [
          `${rules.length} alerting rules loaded; ${firing} alerts firing, ${alerts.length - firing} pending` +
            (broken === 0 ? "" : `; ${broken} rules cannot be evaluated`),
          ...alerts.map(({ labels, annotations, state, activeAt, value }) =>
            JSON.stringify({ state, since: activeAt, value, labels, annotations }),
          ),
          ...rules.filter(({ health }) => all_rules || health === "err").map(described),
        ].join("\n"),
      );
    },
  };
}

function described(rule: Awaited<ReturnType<PrometheusApi["alertingRules"]>>[number]): string {
  const { name, state, query, forSeconds, labels, annotations, health, lastError } = rule;
  const error = lastError === "" ? {} : { health, last_error: lastError };
  return JSON.stringify({ rule: name, state, query, for_seconds: forSeconds, labels, annotations, ...error });
}
