import { describe, expect, test } from "vitest";
import { prometheusApi } from "../../subjects/common/prometheus/api.ts";
import type { QueryOptions } from "../../subjects/common/prometheus/query.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { queryOptions, seriesStorage, serverInfo } from "../support/prometheus-series.ts";

function api(query: Partial<QueryOptions> = {}) {
  const storage = seriesStorage(10_000, 'up{job="a",i="1"} 1x9\nup{job="b",i="2"} 0x9\nother{job="a"} 5x9');
  const app = prometheusApi({
    clock: new ManualClock(),
    storage,
    scrapers: [],
    groups: [],
    query: { ...queryOptions, ...query },
    server: { ...serverInfo, config: "global: {}\n", flags: { "query.timeout": "2m" } },
    metrics: () => "",
  });
  const ask = async (method: "GET" | "POST", path: string, params: Readonly<Record<string, string>>) => {
    const form = new URLSearchParams(params);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const reply = await (method === "GET"
      ? app.request(`${path}?${form}`)
      : app.request(path, { method, headers, body: form.toString() }));
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  };
  return ask;
}

/** What Grafana's Prometheus data source asks (packages/grafana-prometheus: `language_provider`, `datasource`). */
describe("what Grafana asks", () => {
  test.each<["GET" | "POST", string, Record<string, string>, unknown]>([
    ["POST", "query", { query: "1+1", time: "4" }, { resultType: "scalar", result: [4, "2"] }],
    ["GET", "status/buildinfo", {}, expect.objectContaining({ version: "3.5.0" })],
    ["POST", "labels", { "match[]": "up", start: "0", end: "90", limit: "40000" }, ["__name__", "i", "job"]],
    ["GET", "labels", { start: "0", end: "90" }, ["__name__", "i", "job"]],
    ["GET", "label/__name__/values", { start: "0", end: "90" }, ["other", "up"]],
    ["GET", "label/job/values", { "match[]": 'up{i="1"}' }, ["a"]],
    ["GET", "label/job/values", { "match[]": "up", start: "5000", end: "6000" }, []],
    ["POST", "series", { "match[]": "other" }, [{ __name__: "other", job: "a" }]],
    ["GET", "metadata", { limit: "5000" }, {}],
    ["GET", "rules", {}, { groups: [] }],
    ["POST", "query_exemplars", { query: "up", start: "0", end: "1" }, []],
    ["GET", "status/config", {}, { yaml: "global: {}\n" }],
    ["GET", "status/flags", {}, { "query.timeout": "2m" }],
    ["GET", "status/runtimeinfo", {}, expect.objectContaining({ reloadConfigSuccess: true })],
    ["GET", "scrape_pools", {}, { scrapePools: [] }],
  ])("%s /api/v1/%s %o", async (method, path, params, data) => {
    expect(await api()(method, `/api/v1/${path}`, params)).toEqual({ status: 200, body: { status: "success", data } });
  });

  test("ranges by POST, with one point per step", async () => {
    const form = { query: "sum by (job) (up)", start: "0", end: "20", step: "10" };
    const { body } = await api()("POST", "/api/v1/query_range", form);
    expect(body).toMatchObject({
      data: {
        result: [
          {
            metric: { job: "a" },
            values: [
              [0, "1"],
              [10, "1"],
              [20, "1"],
            ],
          },
          { metric: { job: "b" } },
        ],
      },
    });
  });

  test("series by metric and label", async () => {
    const { body } = await api()("GET", "/api/v1/status/tsdb", { limit: "1" });
    expect(body["data"]).toMatchObject({
      headStats: { numSeries: 3, minTime: 0, maxTime: 90_000 },
      seriesCountByMetricName: [{ name: "up", value: 2 }],
      labelValueCountByLabelName: [{ name: "__name__", value: 2 }],
    });
  });
});

describe("what a request may cost", () => {
  test.each<[string, Partial<QueryOptions>, Record<string, string>, number, object]>([
    ["too many samples", { maxSamples: 1 }, { query: "up" }, 422, { errorType: "execution" }],
    ["too long", { timeoutMs: 1, monotonic: ticking() }, { query: "up" }, 503, { errorType: "timeout" }],
    ["its own time-out", { monotonic: ticking() }, { query: "up", timeout: "2ms" }, 503, { errorType: "timeout" }],
    ["nonsense", {}, { query: "up{" }, 400, { errorType: "bad_data" }],
    ["its own lookback", {}, { query: "up", time: "95", lookback_delta: "5s" }, 200, { data: { result: [] } }],
    [
      "a wrong limit",
      {},
      { query: "up", limit: "-1" },
      400,
      { error: expect.stringContaining("non-negative") as string },
    ],
  ])("%s", async (_, options, params, status, body) => {
    const reply = await api(options)("GET", "/api/v1/query", { time: "90", ...params });
    expect(reply.status).toBe(status);
    expect(reply.body).toMatchObject(body);
  });

  test("a limit cuts the result, and says so", async () => {
    const { body } = await api()("GET", "/api/v1/query", { query: "up", time: "90", limit: "1" });
    expect(body).toMatchObject({
      warnings: ["results truncated due to limit"],
      data: { result: [{ metric: { i: "1" } }] },
    });
  });
});

function ticking(): () => number {
  let now = 0;
  return () => (now += 5);
}
