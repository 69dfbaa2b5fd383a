import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Deps } from "../harness/protocol.ts";
import { quantile } from "../harness/stats/quantile.ts";
import { nodeFolder } from "../subjects/tikv/embedded.ts";
import { charts, expanded, shippedDashboard } from "../test/support/dashboard.ts";
import { startPrometheus } from "../test/support/prometheus-process.ts";
import { inCluster } from "./cluster.ts";
import type { Measure } from "./measure.ts";

const GATHER_MS = 45_000;
const QUERIES = 10;
const ROUNDS = 15;
const RANGE_S = 40;
const POINTS = 200;

/**
 * Ten range queries of the shipped dashboard, to the embedded Prometheus and to a real one that has scraped the same
 * nodes for the same time; over HTTP, by turns.
 */
export async function benchPromql(deps: Deps): Promise<readonly Measure[]> {
  const version = /version (\S+)/.exec(spawnSync("prometheus", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1];
  if (version === undefined)
    throw new Error("there is no Prometheus on this machine (Debian: apt-get install prometheus)");
  const signal = new AbortController().signal;
  const root = await mkdtemp(path.join(os.tmpdir(), "promql-"));
  try {
    return await inCluster(root, "q1", { ...deps, timeFactor: 0.2 }, async (cluster, stateDir) => {
      await cluster.waitReady({ timeoutMs: 60_000 }, signal);
      const folder = path.join(root, "real");
      mkdirSync(folder);
      for (const file of ["prometheus.yml", "tikv.rules.yml"])
        cpSync(path.join(nodeFolder(stateDir, "prometheus"), file), path.join(folder, file));
      await using real = await startPrometheus(folder);
      const load = { seed: 1, ratePerSecond: 100, clients: 8, keyPrefix: "k", deadlineMs: 2_000 };
      await using _load = await cluster.startWorkload(load, signal);
      await deps.clock.sleep(GATHER_MS);
      const sides = { embedded: cluster.endpoints("host").prometheusUrl ?? "", real: real.url };
      return await beside(sides, version, cluster.scrapeIntervalMs, deps);
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function beside(
  sides: { readonly embedded: string; readonly real: string },
  version: string,
  scrapeIntervalMs: number,
  deps: Deps,
): Promise<readonly Measure[]> {
  const all = charts(shippedDashboard()).flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));
  const chosen = Array.from({ length: QUERIES }, (_, n) => all[Math.floor((n * all.length) / QUERIES)] ?? all[0]);
  const measures: Measure[] = [];
  const [embedded, real]: [number[], number[]] = [[], []];
  for (const one of chosen) {
    const query = expanded(one?.expr ?? "", scrapeIntervalMs);
    const took = { embedded: [] as number[], real: [] as number[] };
    for (let round = 0; round < ROUNDS; round++)
      for (const side of ["embedded", "real"] as const) took[side].push(await ask(sides[side], query, deps));
    embedded.push(quantile(took.embedded, 0.5));
    real.push(quantile(took.real, 0.5));
    measures.push({ name: `${one?.title}: embedded, p50`, value: embedded.at(-1) ?? 0, unit: "ms" });
    measures.push({ name: `${one?.title}: Prometheus ${version}, p50`, value: real.at(-1) ?? 0, unit: "ms" });
  }
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  return [...measures, { name: "all ten: embedded / real", value: sum(embedded) / sum(real), unit: "x" }];
}

/** Milliseconds of one range query, its answer read to the end. @throws when it is not answered with success */
async function ask(url: string, query: string, { clock, fetch }: Deps): Promise<number> {
  const end = clock.now() / 1_000;
  const params = { query, start: String(end - RANGE_S), end: String(end), step: String(RANGE_S / POINTS) };
  const began = clock.monotonic();
  const reply = await fetch(`${url}/api/v1/query_range?${new URLSearchParams(params)}`);
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${query}: ${text.slice(0, 200)}`);
  return clock.monotonic() - began;
}
