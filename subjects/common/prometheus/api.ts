import { Hono, type Context } from "hono";
import type { Clock } from "../../../harness/base/clock.ts";
import { instantData, rangeData, targetsData } from "./api-json.ts";
import {
  duration,
  invalid,
  limited,
  matcherSets,
  optionalTime,
  paramsOf,
  queryLimits,
  requiredTime,
} from "./api-params.ts";
import { buildInfo, metricMetadata, runtimeInfo, tsdbStatus, type ServerInfo } from "./api-status.ts";
import { labelKey, labelValue, sortedLabels } from "./labels.ts";
import { QueryError } from "./promql/errors.ts";
import { parseMatchers, parseQuery } from "./promql/parse.ts";
import { prettyExpr, printExpr } from "./promql/print.ts";
import { queryInstant, queryRange, type QueryOptions } from "./query.ts";
import type { RuleGroup } from "./rules/group.ts";
import { alertsData, rulesData, rulesFilter } from "./rules/rules-json.ts";
import type { Scraper } from "./scraper.ts";
import type { Series } from "./series.ts";
import type { Storage } from "./storage.ts";

export interface ApiDeps {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly scrapers: readonly Scraper[];
  readonly groups: readonly RuleGroup[];
  /** How queries are evaluated, and what they may cost. */
  readonly query: QueryOptions;
  readonly server: ServerInfo;
  /** The server's own `/metrics`. */
  metrics(): string;
}

const HTTP_STATUS = { bad_data: 400, execution: 422, timeout: 503, canceled: 499 } as const;
/** Without an end of its own a metadata request looks at everything that is kept. */
const FOREVER_MS = 8.64e15;

/** What an endpoint gives: `data`, and warnings when there are any. */
class Warned {
  readonly data: unknown;
  readonly warnings: readonly string[];
  constructor(data: unknown, warnings: readonly string[]) {
    this.data = data;
    this.warnings = warnings;
  }
}

type Handler = (params: URLSearchParams, c: Context) => unknown;

/** Prometheus' HTTP API: the paths that operators, dashboards and our own clients use, with its JSON and its errors. */
export function prometheusApi(deps: ApiDeps): Hono {
  const app = new Hono();
  app.get("/-/ready", (c) => c.text("Prometheus Server is Ready.\n"));
  app.get("/-/healthy", (c) => c.text("Prometheus Server is Healthy.\n"));
  app.get("/metrics", (c) =>
    c.text(deps.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  for (const [path, handle] of Object.entries(queries(deps))) app.on(["GET", "POST"], path, answered(handle));
  for (const [path, handle] of Object.entries(reports(deps))) app.get(path, answered(handle));
  app.notFound((c) => c.text("404 page not found\n", 404));
  app.onError((error, c) => {
    const known = error instanceof QueryError;
    const body = { status: "error", errorType: known ? error.type : "internal", error: error.message };
    return c.json(body, known ? (HTTP_STATUS[error.type] as 400) : 500);
  });
  return app;
}

function answered(handle: Handler) {
  return async (c: Context): Promise<Response> => {
    const result = await handle(await paramsOf(c), c);
    if (!(result instanceof Warned)) return c.json({ status: "success", data: result });
    const { data, warnings } = result;
    return c.json({ status: "success", data, ...(warnings.length === 0 ? {} : { warnings }) });
  };
}

/** What is asked by GET or, when it is long, by POST. */
function queries({ clock, storage, query }: ApiDeps): Readonly<Record<string, Handler>> {
  return {
    "/api/v1/query": async (params) => {
      const atMs = optionalTime(params, "time") ?? clock.now();
      const options = { ...query, ...queryLimits(params) };
      const value = await inQuery(() => queryInstant(storage, params.get("query") ?? "", atMs, options));
      if (value.type === "scalar" || value.type === "string") return instantData(value, atMs);
      if (value.type === "vector") {
        const { items, warnings } = limited(params, value.samples);
        return new Warned(instantData({ ...value, samples: items }, atMs), warnings);
      }
      const { items, warnings } = limited(params, value.series);
      return new Warned(instantData({ ...value, series: items }, atMs), warnings);
    },
    "/api/v1/query_range": async (params) => {
      const [startMs, endMs] = [requiredTime(params, "start"), requiredTime(params, "end")];
      if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
      const range = { startMs, endMs, stepMs: duration(params, "step") };
      const options = { ...query, ...queryLimits(params) };
      const results = await inQuery(() => queryRange(storage, params.get("query") ?? "", range, options));
      const { items, warnings } = limited(params, results);
      return new Warned(rangeData(items), warnings);
    },
    "/api/v1/format_query": (params) => inQuery(() => prettyExpr(parseQuery(params.get("query") ?? ""))),
    "/api/v1/query_exemplars": (params) => {
      parseQuery(params.get("query") ?? "");
      return [];
    },
    "/api/v1/series": (params) => {
      if (!params.has("match[]")) throw new QueryError("bad_data", "no match[] parameter provided");
      const { items, warnings } = limited(params, [...selected(storage, params)]);
      return new Warned(
        items.map((series) => sortedLabels(series.labels)),
        warnings,
      );
    },
    "/api/v1/labels": (params) => {
      const names = new Set([...selected(storage, params)].flatMap((series) => Object.keys(series.labels)));
      const { items, warnings } = limited(params, [...names].sort());
      return new Warned(items, warnings);
    },
  };
}

/** What is asked by GET alone. */
function reports(deps: ApiDeps): Readonly<Record<string, Handler>> {
  const { storage, scrapers, groups, server, clock } = deps;
  return {
    "/api/v1/label/:name/values": (params, c) => {
      const name = c.req.param("name") ?? "";
      if (name === "") throw new QueryError("bad_data", `invalid label name: ${JSON.stringify(name)}`);
      const values = new Set([...selected(storage, params)].map((series) => labelValue(series.labels, name)));
      values.delete("");
      const { items, warnings } = limited(params, [...values].sort());
      return new Warned(items, warnings);
    },
    "/api/v1/metadata": (params) => {
      const found = metricMetadata(scrapers, params.get("metric"), numberParam(params, "limit_per_metric") ?? 0);
      const limit = numberParam(params, "limit") ?? -1;
      return Object.fromEntries(limit < 0 ? found : [...found].slice(0, limit));
    },
    "/api/v1/targets": (params) => {
      const state = params.get("state") ?? "any";
      const pool = params.get("scrapePool") ?? "";
      const statuses = scrapers.map((scraper) => scraper.status);
      const data = targetsData(statuses.filter(({ target }) => pool === "" || target.pool === pool));
      return state === "dropped" ? { ...data, activeTargets: [] } : data;
    },
    "/api/v1/scrape_pools": () => ({
      scrapePools: [...new Set(scrapers.map(({ status }) => status.target.pool))].sort(),
    }),
    "/api/v1/alertmanagers": () => ({ activeAlertmanagers: [], droppedAlertmanagers: [] }),
    "/api/v1/rules": (params) => {
      const filter = rulesFilter(params, parseMatchers);
      return rulesData(groups, filter, (expr) => printExpr(parseQuery(expr)));
    },
    "/api/v1/alerts": () => alertsData(groups),
    "/api/v1/status/buildinfo": () => buildInfo(server),
    "/api/v1/status/runtimeinfo": () => runtimeInfo(server, clock.now()),
    "/api/v1/status/config": () => ({ yaml: server.config }),
    "/api/v1/status/flags": () => server.flags,
    "/api/v1/status/tsdb": (params) => {
      const limit = numberParam(params, "limit") ?? 10;
      if (limit < 1) throw new QueryError("bad_data", "limit must be a positive number");
      return tsdbStatus(storage, limit);
    },
    "/api/v1/status/walreplay": () => ({ min: 0, max: 0, current: 0 }),
    "/api/v1/notifications": () => [],
  };
}

/** Faults of the query's text name the parameter, as in Prometheus. */
async function inQuery<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof QueryError && error.type === "bad_data" && /^(\d+:\d+|unknown position): /.test(error.message))
      throw invalid("query", error.message);
    throw error;
  }
}

/** Series that match any `match[]` (all without one) and have samples between `start` and `end`. */
function selected(storage: Storage, params: URLSearchParams): Set<Series> {
  const [fromMs, toMs] = [optionalTime(params, "start") ?? -FOREVER_MS, optionalTime(params, "end") ?? FOREVER_MS];
  const sets = matcherSets(params);
  const found = (sets.length === 0 ? [[]] : sets).flatMap((matchers) => storage.select(matchers));
  return new Set(
    found
      .filter((series) => series.existsWithin(fromMs, toMs))
      .sort((a, b) => (labelKey(a.labels) < labelKey(b.labels) ? -1 : 1)),
  );
}

function numberParam(params: URLSearchParams, name: string): number | null {
  const text = params.get(name) ?? "";
  if (text === "") return null;
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw new QueryError("bad_data", `${name} must be a number`);
}
