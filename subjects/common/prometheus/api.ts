import { Hono, type Context } from "hono";
import type { Clock } from "../../../harness/base/clock.ts";
import { instantData, rangeData, targetsData } from "./api-json.ts";
import { parseDuration } from "./duration.ts";
import { labelKey } from "./labels.ts";
import { queryInstant, queryRange, type QueryOptions } from "./query.ts";
import type { RuleGroup } from "./rules/group.ts";
import { alertsData, rulesData, rulesFilter } from "./rules/rules-json.ts";
import type { Scraper } from "./scraper.ts";
import type { Series } from "./series.ts";
import type { Storage } from "./storage.ts";
import { QueryError } from "./promql/errors.ts";
import { parseMatchers, parseQuery } from "./promql/parse.ts";
import { printExpr } from "./promql/print.ts";

export interface ApiDeps {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly scrapers: readonly Scraper[];
  readonly groups: readonly RuleGroup[];
  /** How queries are evaluated, and what they may cost. */
  readonly query: QueryOptions;
  readonly version: string;
  /** The server's own `/metrics`. */
  metrics(): string;
}

const HTTP_STATUS = { bad_data: 400, execution: 422, timeout: 503, canceled: 499 } as const;
/** Without an end of its own a metadata request looks at everything that is kept. */
const FOREVER_MS = 8.64e15;

/** Prometheus' HTTP API: the paths that operators, dashboards and our own clients use, with its JSON and its errors. */
export function prometheusApi(deps: ApiDeps): Hono {
  const app = new Hono();
  const both = (path: string, handle: (params: URLSearchParams, c: Context) => unknown) =>
    app.on(["GET", "POST"], path, async (c) => c.json({ status: "success", data: await handle(await paramsOf(c), c) }));

  app.get("/-/ready", (c) => c.text("Prometheus Server is Ready.\n"));
  app.get("/-/healthy", (c) => c.text("Prometheus Server is Healthy.\n"));
  app.get("/metrics", (c) =>
    c.text(deps.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );

  both("/api/v1/query", async (params) => {
    const atMs = timeParam(params, "time") ?? deps.clock.now();
    return instantData(await inQuery(() => queryInstant(deps.storage, queryParam(params), atMs, deps.query)), atMs);
  });
  both("/api/v1/query_range", async (params) => {
    const [startMs, endMs] = [required(params, "start"), required(params, "end")];
    const stepMs = durationParam(params, "step");
    return rangeData(await queryRange(deps.storage, queryParam(params), { startMs, endMs, stepMs }, deps.query));
  });
  both("/api/v1/series", (params) => {
    if (!params.has("match[]")) throw new QueryError("bad_data", "no match[] parameter provided");
    return limited(
      params,
      [...selected(deps.storage, params)].map((series) => series.labels),
    );
  });
  both("/api/v1/labels", (params) => {
    const names = new Set([...selected(deps.storage, params)].flatMap((series) => Object.keys(series.labels)));
    return limited(params, [...names].sort());
  });
  both("/api/v1/label/:name/values", (params, c) => {
    const name = c.req.param("name") ?? "";
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name))
      throw new QueryError("bad_data", `invalid label name: ${JSON.stringify(name)}`);
    const values = new Set([...selected(deps.storage, params)].map((series) => series.labels[name] ?? ""));
    values.delete("");
    return limited(params, [...values].sort());
  });
  both("/api/v1/metadata", (params) => metadata(deps.scrapers, params.get("metric")));
  both("/api/v1/targets", (params) => {
    const state = params.get("state") ?? "any";
    const data = targetsData(deps.scrapers.map((scraper) => scraper.status));
    return state === "dropped" ? { ...data, activeTargets: [] } : data;
  });
  both("/api/v1/status/buildinfo", () => ({
    version: deps.version,
    revision: "",
    branch: "HEAD",
    buildUser: "",
    buildDate: "",
    goVersion: "",
  }));
  both("/api/v1/rules", (params) =>
    rulesData(deps.groups, rulesFilter(params, matchParam), (expr) => printExpr(parseQuery(expr))),
  );
  both("/api/v1/alerts", () => alertsData(deps.groups));

  app.notFound((c) => c.text("404 page not found\n", 404));
  app.onError((error, c) => {
    const known = error instanceof QueryError;
    const body = { status: "error", errorType: known ? error.type : "internal", error: error.message };
    return c.json(body, known ? (HTTP_STATUS[error.type] as 400) : 500);
  });
  return app;
}

/** Of the query string and, for POST, of the form. */
async function paramsOf(c: Context): Promise<URLSearchParams> {
  const params = new URL(c.req.url).searchParams;
  if (c.req.method !== "POST") return params;
  const form = new URLSearchParams(await c.req.text());
  for (const [name, value] of params) form.append(name, value);
  return form;
}

function queryParam(params: URLSearchParams): string {
  const query = params.get("query");
  if (query === null || query.trim() === "")
    throw new QueryError(
      "bad_data",
      'invalid parameter "query": unknown position: parse error: no expression found in input',
    );
  return query;
}

/** Faults of the query's text name the parameter, as in Prometheus. */
async function inQuery<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof QueryError && error.type === "bad_data" && !error.message.startsWith("invalid parameter"))
      throw new QueryError("bad_data", `invalid parameter "query": ${error.message}`);
    throw error;
  }
}

/** Unix seconds or RFC 3339, in ms; null when it is not there. */
function timeParam(params: URLSearchParams, name: string): number | null {
  const text = params.get(name);
  if (text === null || text === "") return null;
  const ms = /^[-+]?[\d.]+(e\d+)?$/i.test(text) ? Math.round(Number(text) * 1_000) : Date.parse(text);
  if (!Number.isFinite(ms))
    throw new QueryError(
      "bad_data",
      `invalid parameter "${name}": cannot parse ${JSON.stringify(text)} to a valid timestamp`,
    );
  return ms;
}

function required(params: URLSearchParams, name: string): number {
  const ms = timeParam(params, name);
  if (ms === null)
    throw new QueryError("bad_data", `invalid parameter "${name}": cannot parse "" to a valid timestamp`);
  return ms;
}

function durationParam(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? "";
  const seconds = text === "" ? NaN : Number(text);
  const ms = Number.isFinite(seconds) ? Math.round(seconds * 1_000) : parseDuration(text);
  if (ms === null)
    throw new QueryError(
      "bad_data",
      `invalid parameter "${name}": cannot parse ${JSON.stringify(text)} to a valid duration`,
    );
  return ms;
}

/** Series that match any `match[]` (all without one) and have samples between `start` and `end`. */
function selected(storage: Storage, params: URLSearchParams): Set<Series> {
  const [fromMs, toMs] = [timeParam(params, "start") ?? -FOREVER_MS, timeParam(params, "end") ?? FOREVER_MS];
  const selectors = params.getAll("match[]");
  const found = (selectors.length === 0 ? [[]] : selectors.map(matchParam)).flatMap((matchers) =>
    storage.select(matchers),
  );
  return new Set(
    found
      .filter((series) => series.existsWithin(fromMs, toMs))
      .sort((a, b) => (labelKey(a.labels) < labelKey(b.labels) ? -1 : 1)),
  );
}

function matchParam(text: string): ReturnType<typeof parseMatchers> {
  try {
    return parseMatchers(text);
  } catch (error) {
    throw new QueryError("bad_data", `invalid parameter "match[]": ${error instanceof Error ? error.message : ""}`);
  }
}

function limited<T>(params: URLSearchParams, items: readonly T[]): readonly T[] {
  const limit = Number(params.get("limit") ?? 0);
  return limit > 0 ? items.slice(0, limit) : items;
}

function metadata(scrapers: readonly Scraper[], only: string | null): object {
  const found = new Map<string, { type: string; help: string; unit: string }[]>();
  for (const scraper of scrapers)
    for (const [name, { type, help }] of scraper.metadata) {
      if (only !== null && only !== name) continue;
      const known = found.get(name) ?? [];
      found.set(name, known);
      if (!known.some((each) => each.type === type && each.help === help)) known.push({ type, help, unit: "" });
    }
  return Object.fromEntries(found);
}
