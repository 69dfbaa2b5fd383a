import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { type PrometheusClient, prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";

const deps = { clock: systemClock, fetch: globalThis.fetch };
const signal = new AbortController().signal;

describe("answers as Prometheus documents them", () => {
  const answered = async <T>(
    body: unknown,
    ask: (client: PrometheusClient) => Promise<T>,
    status = 200,
  ): Promise<T> => {
    const server = createServer((_, response) =>
      response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body)),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      return await ask(prometheusClient({ url: `http://127.0.0.1:${port}/` }, deps));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };
  const data = (value: unknown) => ({ status: "success", data: value });
  const ask = (client: PrometheusClient) => client.instant("x", signal);

  test("values that JSON numbers cannot be", async () => {
    const result = ["NaN", "+Inf", "-Inf", "1e3"].map((value, i) => ({ metric: { i: String(i) }, value: [i, value] }));
    const vector = await answered(data({ resultType: "vector", result }), ask);
    expect(vector).toMatchObject({ type: "vector" });
    expect(vector.type === "vector" && vector.series.map(({ point }) => point[1])).toEqual([
      NaN,
      Infinity,
      -Infinity,
      1000,
    ]);
  });

  test("native histograms of 2.40 and later stand aside", async () => {
    const result = [
      { metric: { a: "1" }, histogram: [1, { count: "3", sum: "2", buckets: [] }] },
      { metric: { a: "2" }, value: [1, "7"] },
    ];
    expect(await answered(data({ resultType: "vector", result }), ask)).toEqual({
      type: "vector",
      series: [{ labels: { a: "2" }, point: [1, 7] }],
    });
  });

  test("scalars, strings, warnings and infos of 3.x", async () => {
    expect(await answered(data({ resultType: "scalar", result: [1, "2"] }), ask)).toEqual({
      type: "scalar",
      point: [1, 2],
    });
    expect(
      await answered({ ...data({ resultType: "string", result: [1, "hi"] }), warnings: ["w"], infos: ["i"] }, ask),
    ).toEqual({ type: "string", text: "hi" });
  });

  test.each([
    [
      400,
      { status: "error", errorType: "bad_data", error: "1:1: parse error: unexpected end of input" },
      "parse error",
    ],
    [503, { status: "error", errorType: "timeout", error: "query timed out" }, "query timed out"],
    [502, "<html>Bad Gateway</html>", "Prometheus answers 502"],
    [200, { status: "success", data: { resultType: "novelty", result: [] } }, "unexpected"],
  ])("%i %j", async (status, body, message) => {
    await expect(answered(body, ask, status)).rejects.toThrow(message);
  });
});

/** `PROMETHEUS_BINARY`, else one of the path: Debian's package has 2.42. */
const binary = [
  process.env["PROMETHEUS_BINARY"],
  ...(process.env["PATH"] ?? "").split(":").map((p) => `${p}/prometheus`),
].find((file) => {
  try {
    accessSync(file ?? "", constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

describe.skipIf(binary === undefined)("a real Prometheus (PROMETHEUS_BINARY, or prometheus on the path)", () => {
  let folder: string;
  let client: PrometheusClient;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "prometheus-"));
    const port = await freePort();
    const config = [
      "global: { scrape_interval: 200ms, evaluation_interval: 200ms }",
      "rule_files: [some.rules.yml]",
      "scrape_configs:",
      `  - { job_name: self, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }`,
      "  - { job_name: gone, static_configs: [{ targets: ['127.0.0.1:1'] }] }",
    ];
    await writeFile(path.join(folder, "prometheus.yml"), config.join("\n"));
    const rules = [
      "groups:",
      "  - name: some",
      "    rules:",
      "      - { record: 'job:up', expr: 'sum by (job) (up)' }",
      "      - { alert: Gone, expr: up == 0, labels: { severity: high }, annotations: { summary: '{{ $labels.job }}' } }",
      "      - { alert: Long, expr: up == 0, for: 1h }",
    ];
    await writeFile(path.join(folder, "some.rules.yml"), rules.join("\n"));
    const child = spawn(
      binary ?? "",
      [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: "ignore" },
    );
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    stop = async () => {
      child.kill("SIGKILL");
      await ended;
    };
    client = prometheusClient({ url: `http://127.0.0.1:${port}` }, deps);
    await waitFor(
      async () => {
        const targets = await client.targets(signal).catch(() => []);
        return targets.length === 2 && targets.every((target) => target.health !== "unknown");
      },
      { clock: systemClock, timeoutMs: 20_000, everyMs: 100, what: "Prometheus to have scraped" },
    );
  });

  afterAll(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("says which target is down", async () => {
    const targets = await client.targets(signal);
    expect(targets.map(({ labels, health }) => [labels["job"], health]).sort()).toEqual([
      ["gone", "down"],
      ["self", "up"],
    ]);
    const gone = targets.find((target) => target.health === "down");
    expect(gone?.lastError).toContain("refused");
  });

  test("says what fires and what is pending, by which rules", async () => {
    await waitFor(async () => (await client.alerts(signal)).length === 2, {
      clock: systemClock,
      timeoutMs: 20_000,
      everyMs: 100,
      what: "both alerts",
    });
    const alerts = await client.alerts(signal);
    expect(alerts.map(({ state }) => state).sort()).toEqual(["firing", "pending"]);
    const fires = alerts.find(({ state }) => state === "firing");
    expect(fires?.labels).toMatchObject({ alertname: "Gone", severity: "high", job: "gone" });
    expect(fires?.annotations).toEqual({ summary: "gone" });
    expect(Date.parse(fires?.activeAt ?? "")).toBeGreaterThan(0);
    const [gone, long] = await client.alertingRules(signal);
    expect(gone).toMatchObject({ group: "some", name: "Gone", query: "up == 0", forSeconds: 0, state: "firing" });
    expect(long).toMatchObject({ name: "Long", forSeconds: 3_600, state: "pending", health: "ok", lastError: "" });
  });

  test("answers queries, ranges, labels and series", async () => {
    const instant = await client.instant("sum by (job) (up)", signal);
    expect(instant).toMatchObject({ type: "vector" });
    const end = systemClock.now() / 1000;
    const range = await client.range("up", { start: end - 5, end, step: "1s" }, signal);
    expect(range.type === "matrix" && range.series.length).toBe(2);
    expect(await client.instant("1+1", signal)).toMatchObject({ type: "scalar", point: [expect.any(Number), 2] });
    expect(await client.labels({}, signal)).toContain("job");
    expect(await client.labels({ name: "job", match: ["up"] }, signal)).toEqual(["gone", "self"]);
    expect((await client.series(['up{job="self"}'], signal)).map((labels) => labels["job"])).toEqual(["self"]);
    await expect(client.instant("sum(", signal)).rejects.toThrow(/parse error/);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
