import { z } from "zod";
import { SubjectError } from "../../../../harness/base/errors.ts";
import { type ClientDeps, exchange } from "./http.ts";

export type Labels = Readonly<Record<string, string>>;
/** Seconds since the epoch, and the value; `NaN`, `Infinity` are values. */
export type Point = readonly [timeSeconds: number, value: number];

export type QueryResult =
  | { readonly type: "vector"; readonly series: readonly { readonly labels: Labels; readonly point: Point }[] }
  | {
      readonly type: "matrix";
      readonly series: readonly { readonly labels: Labels; readonly points: readonly Point[] }[];
    }
  | { readonly type: "scalar"; readonly point: Point }
  | { readonly type: "string"; readonly text: string };

export interface Target {
  readonly labels: Labels;
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
  /** RFC 3339; null before the first scrape. */
  readonly lastScrape: string | null;
}

export interface Alert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly state: string;
  readonly activeAt: string | null;
  readonly value: string;
}

/** One that raises alerts, as it was evaluated last. */
export interface AlertingRule {
  readonly group: string;
  readonly name: string;
  readonly query: string;
  /** How long the query has to find something before it fires. */
  readonly forSeconds: number;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** inactive, pending or firing. */
  readonly state: string;
  /** ok, err or unknown (not evaluated yet). */
  readonly health: string;
  readonly lastError: string;
}

export interface RangeOptions {
  /** Seconds since the epoch, or RFC 3339. */
  readonly start: string | number;
  readonly end: string | number;
  /** Seconds, or a duration such as `15s`. */
  readonly step: string | number;
}

/**
 * Prometheus' HTTP API, 2.42 and later, 3.x, and ours.
 *
 * Every method throws `NoAnswer`, the signal's reason, or `SubjectError` with the server's own error text (a query that
 * does not parse, a time-out inside the server).
 */
export interface PrometheusClient {
  instant(query: string, signal: AbortSignal, options?: { readonly time?: string | number }): Promise<QueryResult>;
  range(query: string, options: RangeOptions, signal: AbortSignal): Promise<QueryResult>;
  /** Names of labels; with `name`, the values of that label. */
  labels(
    options: { readonly name?: string; readonly match?: readonly string[] },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  series(match: readonly string[], signal: AbortSignal): Promise<readonly Labels[]>;
  targets(signal: AbortSignal): Promise<readonly Target[]>;
  /** Those that are pending or firing. */
  alerts(signal: AbortSignal): Promise<readonly Alert[]>;
  /** Empty = no rule files are loaded, or none that raise alerts. */
  alertingRules(signal: AbortSignal): Promise<readonly AlertingRule[]>;
}

const DEFAULT_TIMEOUT_MS = 10_000;

const labelsSchema = z.record(z.string(), z.string());
const pointSchema = z.tuple([z.number(), z.string()]).transform(([at, value]): Point => [at, sampleValue(value)]);
/** Native histograms may stand beside or instead of values; they are kept out. */
const querySchema = z.discriminatedUnion("resultType", [
  z.looseObject({
    resultType: z.literal("vector"),
    result: z.array(z.looseObject({ metric: labelsSchema, value: pointSchema.optional() })),
  }),
  z.looseObject({
    resultType: z.literal("matrix"),
    result: z.array(z.looseObject({ metric: labelsSchema, values: z.array(pointSchema).optional() })),
  }),
  z.looseObject({ resultType: z.literal("scalar"), result: pointSchema }),
  z.looseObject({ resultType: z.literal("string"), result: z.tuple([z.number(), z.string()]) }),
]);
const targetsSchema = z.looseObject({
  activeTargets: z.array(
    z.looseObject({
      labels: labelsSchema,
      scrapeUrl: z.string(),
      health: z.enum(["up", "down", "unknown"]),
      lastError: z.string().default(""),
      lastScrape: z.string().optional(),
    }),
  ),
});
const alertsSchema = z.looseObject({
  alerts: z.array(
    z.looseObject({
      labels: labelsSchema,
      annotations: labelsSchema.default({}),
      state: z.string(),
      activeAt: z.string().nullish(),
      value: z.string().default(""),
    }),
  ),
});
const rulesSchema = z.looseObject({
  groups: z.array(
    z.looseObject({
      name: z.string(),
      rules: z.array(
        z.looseObject({
          type: z.string(),
          name: z.string(),
          query: z.string(),
          duration: z.number().default(0),
          labels: labelsSchema.default({}),
          annotations: labelsSchema.default({}),
          state: z.string().default("inactive"),
          health: z.string(),
          lastError: z.string().default(""),
        }),
      ),
    }),
  ),
});
const envelopeSchema = z.looseObject({
  status: z.enum(["success", "error"]),
  data: z.unknown(),
  errorType: z.string().optional(),
  error: z.string().optional(),
});

export function prometheusClient(
  options: { readonly url: string; readonly timeoutMs?: number },
  deps: ClientDeps,
): PrometheusClient {
  const base = options.url.replace(/\/+$/, "");
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;

  const get = async <T extends z.ZodType>(
    path: string,
    query: readonly (readonly [string, string | number])[],
    schema: T,
    signal: AbortSignal,
  ): Promise<z.output<T>> => {
    const search = new URLSearchParams(
      query.map(([name, value]): [string, string] => [name, String(value)]),
    ).toString();
    const url = `${base}/api/v1/${path}${search === "" ? "" : `?${search}`}`;
    const answer = await exchange(deps, { method: "GET", url, timeoutMs }, signal);
    const envelope = envelopeSchema.safeParse(tryParse(answer.text));
    if (!envelope.success)
      throw new SubjectError(`Prometheus answers ${answer.status}: ${answer.text.trim().slice(0, 200)}`);
    if (envelope.data.status === "error")
      throw new SubjectError(`Prometheus: ${envelope.data.error ?? envelope.data.errorType ?? "error without text"}`);
    const data = schema.safeParse(envelope.data.data);
    if (!data.success) throw new SubjectError(`Prometheus sent something unexpected at ${path}`, { cause: data.error });
    return data.data;
  };
  const matches = (match: readonly string[]) => match.map((one) => ["match[]", one] as const);

  return {
    instant: async (query, signal, { time } = {}) => {
      const params: [string, string | number][] = [["query", query]];
      if (time !== undefined) params.push(["time", time]);
      return queryResult(await get("query", params, querySchema, signal));
    },
    range: async (query, { start, end, step }, signal) => {
      const params = [
        ["query", query],
        ["start", start],
        ["end", end],
        ["step", step],
      ] as const;
      return queryResult(await get("query_range", params, querySchema, signal));
    },
    labels: ({ name, match = [] }, signal) =>
      get(
        name === undefined ? "labels" : `label/${encodeURIComponent(name)}/values`,
        matches(match),
        z.array(z.string()),
        signal,
      ),
    series: (match, signal) => get("series", matches(match), z.array(labelsSchema), signal),
    targets: async (signal) => {
      const { activeTargets } = await get("targets", [["state", "active"]], targetsSchema, signal);
      return activeTargets.map(({ labels, scrapeUrl, health, lastError, lastScrape }) => ({
        labels,
        scrapeUrl,
        health,
        lastError,
        lastScrape: lastScrape === undefined || lastScrape.startsWith("0001-") ? null : lastScrape,
      }));
    },
    alerts: async (signal) =>
      (await get("alerts", [], alertsSchema, signal)).alerts.map(({ labels, annotations, state, activeAt, value }) => ({
        labels,
        annotations,
        state,
        activeAt: activeAt ?? null,
        value,
      })),
    alertingRules: async (signal) =>
      (await get("rules", [["type", "alert"]], rulesSchema, signal)).groups.flatMap((group) =>
        group.rules
          .filter(({ type }) => type === "alerting")
          .map(({ name, query, duration, labels, annotations, state, health, lastError }) => ({
            group: group.name,
            name,
            query,
            forSeconds: duration,
            labels,
            annotations,
            state,
            health,
            lastError,
          })),
      ),
  };
}

function queryResult(data: z.output<typeof querySchema>): QueryResult {
  switch (data.resultType) {
    case "vector":
      return {
        type: "vector",
        series: data.result.flatMap(({ metric, value }) =>
          value === undefined ? [] : [{ labels: metric, point: value }],
        ),
      };
    case "matrix":
      return {
        type: "matrix",
        series: data.result.flatMap(({ metric, values }) =>
          values === undefined ? [] : [{ labels: metric, points: values }],
        ),
      };
    case "scalar":
      return { type: "scalar", point: data.result };
    case "string":
      return { type: "string", text: data.result[1] };
  }
}

/** Prometheus writes `+Inf`, `-Inf` and `NaN`, which `Number` does not all know. */
function sampleValue(text: string): number {
  if (text === "+Inf" || text === "Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
