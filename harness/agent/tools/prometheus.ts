import { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import type { Tool, ToolResult } from "../../protocol.ts";
import { reason, refused, said } from "./shared.ts";

/** GET below the server's `/api/v1`. @throws HarnessError `timeout` or `subject-failed` when it does not answer. */
export type PrometheusGet = (
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly text: string }>;

const MAX_SERIES = 100;
const apiAnswer = z.discriminatedUnion("status", [
  z.looseObject({ status: z.literal("success"), data: z.unknown(), warnings: z.array(z.string()).optional() }),
  z.looseObject({ status: z.literal("error"), errorType: z.string(), error: z.string() }),
]);

type Show<D> = (data: D) => string;

async function ask<S extends z.ZodType>(
  call: ReturnType<PrometheusGet>,
  shape: S,
  show: Show<z.output<S>>,
): Promise<ToolResult> {
  const { status, text } = await call;
  let answer: z.output<typeof apiAnswer>;
  try {
    answer = apiAnswer.parse(JSON.parse(text));
  } catch {
    return refused(`Prometheus answered ${status}, which is not its API: ${text.slice(0, 500)}`);
  }
  if (answer.status === "error") return refused(`Prometheus: ${answer.errorType}: ${answer.error}`);
  const data = shape.safeParse(answer.data);
  return data.success ? said(show(data.data)) : said(JSON.stringify(answer.data));
}

const series = z.array(z.looseObject({ metric: z.record(z.string(), z.string()) }));
const result = z.looseObject({ resultType: z.string(), result: z.unknown() });

/** One series a line: labels, then `value @ time` pairs; many are cut with a count, so that none is missed silently. */
function showResult(data: z.output<typeof result>): string {
  const rows = series.safeParse(data.result);
  if (!rows.success) return JSON.stringify(data.result);
  if (rows.data.length === 0) return "no series: nothing matches, or nothing was scraped lately";
  const lines = rows.data.slice(0, MAX_SERIES).map((row) => {
    const { metric, value, values, ...rest } = row as { metric: object; value?: unknown; values?: unknown };
    return `${JSON.stringify(metric)} ${JSON.stringify(value ?? values ?? rest)}`;
  });
  const more = rows.data.length - lines.length;
  return [...lines, ...(more > 0 ? [`… and ${more} more series: aggregate or filter`] : [])].join("\n");
}

const promql = z.string().min(1).max(4_000).describe("PromQL");
const queryInput = z.strictObject({
  query: promql,
  seconds_ago: z.number().min(0).max(86_400).default(0).describe("evaluate as of so long ago"),
  reason,
});

export function prometheusQuery(get: PrometheusGet, clock: Clock): Tool<typeof queryInput> {
  return {
    name: "prometheus_query",
    description: "Evaluate a PromQL expression at one instant. Values are [unix seconds, value].",
    input: queryInput,
    effect: () => "read",
    run: ({ query, seconds_ago }, signal) =>
      ask(get("/query", { query, time: unixSeconds(clock, seconds_ago) }, signal), result, showResult),
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

export function prometheusQueryRange(get: PrometheusGet, clock: Clock): Tool<typeof rangeInput> {
  return {
    name: "prometheus_query_range",
    description: "Evaluate a PromQL expression over the last minutes. Values are [[unix seconds, value], …].",
    input: rangeInput,
    effect: () => "read",
    run: async ({ query, minutes, step_seconds }, signal) => {
      if ((minutes * 60) / step_seconds > MAX_POINTS)
        return refused(`more than ${MAX_POINTS} points a series: take a longer step or fewer minutes`);
      const range = { start: unixSeconds(clock, minutes * 60), end: unixSeconds(clock, 0), step: String(step_seconds) };
      return ask(get("/query_range", { query, ...range }, signal), result, showResult);
    },
  };
}

const labelsInput = z.strictObject({
  label: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
    .default("__name__")
    .describe("values of this label; __name__ = all metrics"),
  contains: z.string().max(200).optional().describe("only values that contain this text"),
  reason,
});

export function prometheusLabels(get: PrometheusGet): Tool<typeof labelsInput> {
  return {
    name: "prometheus_labels",
    description: "Which values a label has; by default the names of all metrics.",
    input: labelsInput,
    effect: () => "read",
    run: ({ label, contains = "" }, signal) =>
      ask(get(`/label/${label}/values`, {}, signal), z.array(z.string()), (values) => {
        const shown = values.filter((value) => value.includes(contains));
        return shown.length === 0 ? "no such values" : shown.join("\n");
      }),
  };
}

const targetsInput = z.strictObject({ reason });
const targets = z.looseObject({
  activeTargets: z.array(
    z.looseObject({
      labels: z.record(z.string(), z.string()),
      health: z.string(),
      lastError: z.string(),
      lastScrape: z.string(),
    }),
  ),
});

export function prometheusTargets(get: PrometheusGet): Tool<typeof targetsInput> {
  return {
    name: "prometheus_targets",
    description: "What Prometheus scrapes: job, instance, up or down, last error and last scrape.",
    input: targetsInput,
    effect: () => "read",
    run: (_, signal) =>
      ask(get("/targets", { state: "active" }, signal), targets, ({ activeTargets }) =>
        activeTargets
          .map(({ labels, health, lastError, lastScrape }) =>
            JSON.stringify({ ...labels, health, last_scrape: lastScrape, last_error: lastError }),
          )
          .join("\n"),
      ),
  };
}

function unixSeconds(clock: Clock, secondsAgo: number): string {
  return (clock.now() / 1_000 - secondsAgo).toFixed(3);
}
