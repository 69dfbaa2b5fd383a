/** The agent's program: `node harness/agent/main.ts [ticket file] [--once] …`; settings in `config.ts`. */
import { systemClock } from "../base/clock.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { randomIds } from "../base/ids.ts";
import { jsonLog } from "../base/log.ts";
import { programDeps } from "../base/program-deps.ts";
import { toldToStop } from "../base/told-to-stop.ts";
import type { Log } from "../protocol.ts";
import { openTickets } from "../../tickets/index.ts";
import { defaultEndpoints } from "../../subjects/tikv/kit/default-endpoints.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { DEFAULT_DASHBOARD_URL } from "../control/registration.ts";
import { announceMode } from "../control/settings.ts";
import { runAgent } from "./agent.ts";
import { showAlive } from "./alive.ts";
import { agentConfig, type AgentConfig } from "./config.ts";
import { CurrentWork } from "./current-work.ts";
import { openEngine, openSidecar } from "./open-engine.ts";
import { keepKnownToPanel } from "./known-to-panel.ts";
import { operatorFor } from "./operators/index.ts";
import { shellOf } from "./shell/channel.ts";
import { maskerOf } from "./transcript.ts";

/** 0 = ended as asked, whatever the operator's ending; 2 = wrong settings; 3 = the lab failed in mid-work. */
const EXIT = { ended: 0, usage: 2, aborted: 3 } as const;

async function main(config: AgentConfig, log: Log, signal: AbortSignal): Promise<number> {
  const deps = programDeps(log);
  // Both set by `docker/agent/start` and the compose file beside it.
  const { SHELL_CHANNEL: shellChannel = "", ALIVE_FILE: aliveFile = "" } = process.env;
  if (aliveFile !== "") void showAlive(aliveFile, deps, signal);
  const current = new CurrentWork();
  await using client = await openSidecar(config.engine, config.control, deps, signal);
  const through = client === null ? null : { client, work: current };
  await using engine = await openEngine(config.engine, config.network, deps, signal, through);
  const present = (await engine.list(signal)).map(({ component }) => component);
  const endpoints = config.endpoints ?? defaultEndpoints(present, config.prometheusUrl);
  const kit = tikvKit(
    {
      endpoints: { ...endpoints, prometheusUrl: config.prometheusUrl },
      pdUrls: config.pdUrls,
      ...(config.scrapeIntervalMs === null ? {} : { scrapeIntervalMs: config.scrapeIntervalMs }),
    },
    deps,
  );
  await using tickets = await openTickets(config.ticketsPath, deps);
  if (isKnownToPanel(config.control))
    void keepKnownToPanel(
      { settings: config.control, client, engine, tickets, mode: config.mode, doing: () => current.inWords() },
      deps,
      signal,
    );
  const operator = await operatorFor(config, kit, { ...deps, access: tickets.access }, signal);
  log.info("agent.started", {
    operator: operator.name,
    scripted: operator.scripted,
    ...operator.details,
    mode: config.mode,
    instance: config.instance,
    limits: config.limits,
  });
  const worked = await runAgent(
    {
      ...config,
      tickets,
      current,
      operator,
      engine,
      kit,
      prometheus: config.prometheusUrl === null ? null : prometheusClient({ url: config.prometheusUrl }, deps),
      shell: shellChannel === "" ? null : shellOf(shellChannel),
      components: [...new Set([...Object.keys(endpoints.byComponent), ...present])],
      mask: maskerOf([config.apiKey ?? undefined]),
      holder: `${config.host}-${process.pid}-${randomIds.hex(4)}`,
      takesUnscoped: !config.once,
    },
    deps,
    signal,
  );
  log.info("agent.stopped", { outcome: worked?.outcome ?? "no incident" });
  return worked?.outcome === "aborted" ? EXIT.aborted : EXIT.ended;
}

/** In legacy mode a panel is the exception: it is told only where somebody says where it is. */
function isKnownToPanel({ composeAgentEnabled, dashboardUrl }: AgentConfig["control"]): boolean {
  const said = process.env["DASHBOARD_URL"] ?? "";
  return composeAgentEnabled || said !== "" || dashboardUrl !== DEFAULT_DASHBOARD_URL;
}

const PARENT_CHECK_MS = 1_000;
const stop = toldToStop("the agent was told to stop");
const log = jsonLog();
let config: AgentConfig | null = null;
try {
  config = agentConfig(process.argv.slice(2), process.env);
  announceMode(config.control, log);
  if (config.once) void endWithParent(stop);
  process.exitCode = await main(config, log, stop.signal);
  stop.abort(new Error("the work is done"));
} catch (error) {
  if (stop.signal.aborted) {
    log.info("agent.stopped", { outcome: errorText(stop.signal.reason) });
  } else {
    const mask = maskerOf([config?.apiKey ?? undefined]);
    log.error("agent.failed", {
      code: error instanceof HarnessError ? error.code : "internal",
      why: mask(errorText(error)),
    });
    process.exitCode = error instanceof HarnessError && error.code === "config-invalid" ? EXIT.usage : EXIT.aborted;
    stop.abort(error);
  }
}

/**
 * Who works one incident does so for whoever started it; when that process is killed, nobody tells us, but we get
 * another parent. In a container the parent is its init, which outlives us.
 */
async function endWithParent(stopping: AbortController): Promise<void> {
  const parent = process.ppid;
  while (!stopping.signal.aborted) {
    await systemClock.sleep(PARENT_CHECK_MS, stopping.signal).catch(() => {});
    if (process.ppid !== parent) stopping.abort(new HarnessError("interrupted", "whoever started the agent is gone"));
  }
}
