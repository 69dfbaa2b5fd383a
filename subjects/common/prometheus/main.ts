/** The embedded Prometheus: see README.md. Runs until SIGTERM or SIGINT. */
import { mkdirSync, readFileSync } from "node:fs";
import { serve } from "@hono/node-server";
import { isoTime, systemClock, type EpochMs } from "../../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import { jsonLog } from "../../../harness/base/log.ts";
import { seededRandom } from "../../../harness/base/random.ts";
import { exitWithParent } from "../parent-watch.ts";
import { prometheusApi } from "./api.ts";
import { readConfig } from "./config.ts";
import { readFlags } from "./flags.ts";
import { httpGet } from "./http-get.ts";
import { ownMetrics, type SweepCounts } from "./own-metrics.ts";
import { Scraper } from "./scraper.ts";
import { queryInstantNow, ruleSamples, type QueryOptions } from "./query.ts";
import { RuleGroup } from "./rules/group.ts";
import { loadRules } from "./rules/load.ts";
import { Storage } from "./storage.ts";

/** The version whose API and language this follows. */
const VERSION = "3.5.0";
const SWEEP_EVERY_MS = 30_000;

const log = jsonLog();

function start(argv: readonly string[]): void {
  const flags = readFlags(argv);
  const configText = readText(flags.configFile);
  const config = readConfig(configText, flags.configFile);
  const specs = loadRules(config.ruleFiles, flags.configFile);
  mkdirSync(flags.storagePath, { recursive: true });
  const clock = systemClock;
  const storage = new Storage({ retentionMs: flags.retentionMs, maxBytes: flags.maxBytes });
  const random = seededRandom("phases");
  const scrapers = config.targets.map(
    (target) => new Scraper(target, { clock, storage, get: httpGet, phase: random.next() }),
  );
  const stop = new AbortController();
  const { host, port } = addressOf(flags.listenAddress);
  const query: QueryOptions = {
    lookbackMs: flags.lookbackMs,
    subqueryStepMs: config.evaluationIntervalMs,
    maxSamples: flags.maxQuerySamples,
    timeoutMs: flags.queryTimeoutMs,
    monotonic: () => clock.monotonic(),
  };
  const groups = specs.map(
    (spec) =>
      new RuleGroup(spec, {
        clock,
        log,
        storage,
        intervalMs: config.evaluationIntervalMs,
        externalLabels: config.externalLabels,
        externalUrl: `http://${host}:${port}`,
        query: (text, atMs) => ruleSamples(queryInstantNow(storage, text, atMs, query)),
      }),
  );
  const swept: SweepCounts = { bySize: 0 };
  const server = { version: VERSION, startedAt: clock.now(), config: configText, flags: flags.all };
  const api = prometheusApi({
    clock,
    storage,
    scrapers,
    groups,
    query,
    server,
    metrics: ownMetrics({ version: VERSION, startedAt: server.startedAt, storage, swept, maxBytes: flags.maxBytes }),
  });
  const listener = serve({ fetch: api.fetch, hostname: host, port }, () => {
    log.info("Server is ready to receive web requests.", { address: flags.listenAddress });
    for (const runner of [...scrapers, ...groups]) runner.run(stop.signal).catch(fail);
    sweepForEver(storage, swept, stop.signal).catch(fail);
  });
  listener.on("error", (error: Error) =>
    fail(new HarnessError("port-taken", `Unable to start web listener: ${error.message}`)),
  );
  process.on("SIGHUP", () => log.warn("The configuration is read at the start only", { file: flags.configFile }));
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => process.exit(0));
}

async function sweepForEver(storage: Storage, swept: SweepCounts, signal: AbortSignal): Promise<void> {
  for (;;) {
    await systemClock.sleep(SWEEP_EVERY_MS, signal);
    const cutMs = storage.sweep(systemClock.now());
    if (cutMs === null) continue;
    swept.bySize++;
    log.warn("Deleting samples before their time: storage.tsdb.retention.size exceeded", {
      oldest: isoTime(cutMs as EpochMs),
    });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new HarnessError("config-invalid", `Error loading config (--config.file=${file}): ${errorText(cause)}`, {
      cause,
    });
  }
}

function addressOf(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(":");
  const port = Number(listen.slice(colon + 1));
  if (colon === -1 || !Number.isInteger(port))
    throw new HarnessError("config-invalid", `web.listen-address: "${listen}" is not host:port`);
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, "") || "0.0.0.0", port };
}

function fail(error: unknown): never {
  log.error(errorText(error));
  process.exit(error instanceof HarnessError && error.code === "config-invalid" ? 2 : 1);
}

exitWithParent();
try {
  start(process.argv.slice(2));
} catch (error) {
  fail(error);
}
