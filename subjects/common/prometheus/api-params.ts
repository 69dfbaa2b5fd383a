import type { Context } from "hono";
import { durationFault, parseDuration } from "./duration.ts";
import type { Matcher } from "./matcher.ts";
import { QueryError } from "./promql/errors.ts";
import { parseMatchers } from "./promql/parse.ts";
import { parseFloatText } from "./text-format.ts";

/** Of the form, for POST, and of the query string. */
export async function paramsOf(c: Context): Promise<URLSearchParams> {
  const params = new URL(c.req.url).searchParams;
  if (c.req.method !== "POST") return params;
  const form = new URLSearchParams(await c.req.text());
  for (const [name, value] of params) form.append(name, value);
  return form;
}

export function invalid(name: string, what: string): QueryError {
  return new QueryError("bad_data", `invalid parameter "${name}": ${what}`);
}

/** Unix seconds or RFC 3339, in ms. @throws QueryError */
export function requiredTime(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? "";
  const ms = timeOf(text);
  if (ms === null) throw invalid(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return ms;
}

/** Null when it is not there. @throws QueryError */
export function optionalTime(params: URLSearchParams, name: string): number | null {
  const text = params.get(name) ?? "";
  if (text === "") return null;
  const ms = timeOf(text);
  if (ms === null)
    throw invalid(name, `invalid time value for '${name}': cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return ms;
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

function timeOf(text: string): number | null {
  const seconds = parseFloatText(text);
  if (seconds !== null) return Number.isFinite(seconds) ? Math.round(seconds * 1_000) : null;
  const ms = RFC3339.test(text) ? Date.parse(text) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

/** Seconds or a duration (`1m`), in ms. @throws QueryError */
export function duration(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? "";
  const ms = durationOf(text);
  if (ms === null) throw invalid(name, `cannot parse ${JSON.stringify(text)} to a valid duration`);
  return ms;
}

function durationOf(text: string): number | null {
  const seconds = parseFloatText(text);
  if (seconds === null) return parseDuration(text);
  return Number.isFinite(seconds) ? Math.round(seconds * 1_000) : null;
}

/** What one request may say of its query: `timeout` and `lookback_delta`. @throws QueryError */
export function queryLimits(params: URLSearchParams): { timeoutMs?: number; lookbackMs?: number } {
  const lookback = params.get("lookback_delta") ?? "";
  const lookbackMs = lookback === "" ? null : durationOf(lookback);
  if (lookback !== "" && lookbackMs === null)
    throw new QueryError("bad_data", `error parsing lookback delta duration: ${durationFault(lookback)}`);
  return {
    ...(params.has("timeout") ? { timeoutMs: duration(params, "timeout") } : {}),
    ...(lookbackMs === null || lookbackMs === 0 ? {} : { lookbackMs }),
  };
}

export interface Limited<T> {
  readonly items: readonly T[];
  readonly warnings: readonly string[];
}

/** As many as `limit` allows, and the warning when that is not all. @throws QueryError */
export function limited<T>(params: URLSearchParams, items: readonly T[]): Limited<T> {
  const text = params.get("limit") ?? "";
  if (!/^[+-]?\d*$/.test(text)) throw invalid("limit", `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const limit = Number(text);
  if (limit < 0) throw invalid("limit", "limit must be non-negative");
  if (limit === 0 || items.length <= limit) return { items, warnings: [] };
  return { items: items.slice(0, limit), warnings: ["results truncated due to limit"] };
}

/** Every `match[]`. @throws QueryError */
export function matcherSets(params: URLSearchParams): (readonly Matcher[])[] {
  const sets = params.getAll("match[]").map(parseMatchers);
  if (sets.some((set) => set.every((each) => each.test(""))))
    throw new QueryError("bad_data", "match[] must contain at least one non-empty matcher");
  return sets;
}
