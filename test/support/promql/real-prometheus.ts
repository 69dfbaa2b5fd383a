import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../harness/base/clock.ts";
import { waitFor } from "../../../harness/base/wait.ts";
import { goNumber, type Answer } from "./answer.ts";
import type { GeneratedQuery } from "./generate.ts";

/** Debian's Prometheus (2.42). */
export interface RealPrometheus extends AsyncDisposable {
  readonly url: string;
  answer(query: GeneratedQuery): Promise<Answer>;
}

export const noPrometheus = spawnSync("promtool", ["--version"]).error !== undefined;

interface Reply {
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly data?: { readonly resultType: string; readonly result: unknown };
}
type Point = readonly [number, string];
interface Item {
  readonly metric: Record<string, string>;
  readonly value?: Point;
  readonly values?: readonly Point[];
}

/** Started over blocks made of OpenMetrics text, or with a configuration of its own. */
export async function startRealPrometheus(given: {
  readonly openMetrics?: string;
  readonly files?: Readonly<Record<string, string>>;
}): Promise<RealPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), "real-prometheus-"));
  for (const [name, text] of Object.entries({ "prometheus.yml": "global: {}\n", ...given.files }))
    writeFileSync(join(folder, name), text);
  if (given.openMetrics !== undefined) {
    writeFileSync(join(folder, "samples.om"), given.openMetrics);
    const flags = ["tsdb", "create-blocks-from", "openmetrics", "samples.om", "data"];
    const made = spawnSync("promtool", flags, { cwd: folder });
    if (made.status !== 0) throw new Error(String(made.stderr));
  }
  const port = await freePort();
  const child = spawn(
    "prometheus",
    [
      "--config.file=prometheus.yml",
      `--web.listen-address=127.0.0.1:${port}`,
      "--storage.tsdb.path=data",
      "--storage.tsdb.retention.time=100y",
    ],
    { cwd: folder, stdio: "ignore" },
  );
  const url = `http://127.0.0.1:${port}`;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const ready = () =>
    get(agent, `${url}/-/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  await waitFor(ready, { clock: systemClock, timeoutMs: 30_000, everyMs: 100, what: "Prometheus" });
  return {
    url,
    answer: async (query) => answerOf(JSON.parse((await get(agent, url + pathOf(query))).body) as Reply, query),
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true });
    },
  };
}

function pathOf({ text, startMs, endMs, stepMs }: GeneratedQuery): string {
  if (stepMs === 0) return `/api/v1/query?${new URLSearchParams({ query: text, time: String(startMs / 1_000) })}`;
  const range = { start: String(startMs / 1_000), end: String(endMs / 1_000), step: String(stepMs / 1_000) };
  return `/api/v1/query_range?${new URLSearchParams({ query: text, ...range })}`;
}

function answerOf({ errorType, error, data }: Reply, { startMs }: GeneratedQuery): Answer {
  if (data === undefined) return { type: "error", error: { kind: errorType ?? "", message: error ?? "" }, series: [] };
  const { resultType: type, result } = data;
  const point = ([seconds, value]: Point) => [Math.round(seconds * 1_000), goNumber(value)] as const;
  if (type === "scalar") return { type, series: [{ labels: {}, points: [[startMs, point(result as Point)[1]]] }] };
  if (type === "string") return { type, text: (result as Point)[1], series: [] };
  const series = (result as Item[]).map(({ metric, value, values }) => ({
    labels: metric,
    points: (values ?? (value === undefined ? [] : [value])).map(point),
  }));
  return { type, series };
}

function get(agent: Agent, url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (reply) => {
      let body = "";
      reply.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, body }));
    })
      .on("error", reject)
      .end();
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
