/** The workload program: see README.md. Runs until SIGTERM or SIGINT. */
import { serve } from "@hono/node-server";
import { systemClock } from "../../../harness/base/clock.ts";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import { randomIds } from "../../../harness/base/ids.ts";
import { jsonLog } from "../../../harness/base/log.ts";
import { seededRandom } from "../../../harness/base/random.ts";
import { exitWithParent } from "../../common/parent-watch.ts";
import { forAllKeys, readAll } from "./all-keys.ts";
import { clientMetrics } from "./client-metrics.ts";
import { HistoryLog } from "./history-log.ts";
import { LoadGenerator } from "./load-generator.ts";
import { RawClient } from "./raw-client.ts";
import { workloadServer, type WorkloadService } from "./server.ts";
import { readSettings, type WorkloadSettings } from "./settings.ts";

function startWorkload(settings: WorkloadSettings): WorkloadService {
  const clock = systemClock;
  const random = seededRandom(settings.seed);
  const run = randomIds.hex(3);
  const newClient = (purpose: string) => new RawClient({ ...settings, clock, random: random.fork(purpose) });
  const history = new HistoryLog(clock);
  const metrics = clientMetrics(() => generator.inFlight);
  const generator: LoadGenerator = new LoadGenerator({
    workload: settings,
    run,
    client: newClient("back-off"),
    clock,
    random: random.fork("load"),
    onEnd: (entry) => {
      history.append(entry);
      metrics.ended(entry);
    },
    onSkip: () => metrics.skipped(),
  });
  generator.start();
  const never = new AbortController().signal;
  return {
    run,
    clock,
    history,
    metrics: () => metrics.text(),
    window: (windowMs) => history.window(windowMs, generator.outstandingSinceMs()),
    stop: async () => {
      await generator.stop();
      history.close();
    },
    readBack: async (timeoutMs) => {
      using client = newClient("read-back");
      return await readAll(client, generator.keys(), { clock, timeoutMs, signal: never });
    },
    cleanUp: async (timeoutMs) => {
      using client = newClient("clean-up");
      const remove = (key: string, signal: AbortSignal) => client.delete(key, signal);
      return (await forAllKeys(generator.keys(), remove, { clock, timeoutMs, signal: never })) !== null;
    },
  };
}

const log = jsonLog();
exitWithParent();
try {
  const settings = readSettings(process.argv.slice(2), process.env);
  const [host, port] = splitAddress(settings.listen);
  const service = startWorkload(settings);
  const server = serve({ fetch: workloadServer(service, settings.controlToken).fetch, hostname: host, port }, (info) =>
    log.info("listening", { address: info.address, port: info.port, run: service.run }),
  );
  server.on("error", (error: Error) => fail(new HarnessError("port-taken", `${settings.listen}: ${error.message}`)));
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => process.exit(0));
} catch (error) {
  fail(error);
}

function splitAddress(listen: string): [string, number] {
  const colon = listen.lastIndexOf(":");
  return [listen.slice(0, colon).replace(/^\[|\]$/g, ""), Number(listen.slice(colon + 1))];
}

function fail(error: unknown): never {
  log.error("workload failed", { why: errorText(error) });
  process.exit(error instanceof HarnessError && error.code === "config-invalid" ? 2 : 1);
}
