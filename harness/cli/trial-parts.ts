import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { openTickets } from "../../tickets/index.ts";
import { runAgent } from "../agent/agent.ts";
import { defaultLimits } from "../agent/limits.ts";
import { CurrentWork } from "../agent/current-work.ts";
import { openEngine, openSidecar } from "../agent/open-engine.ts";
import { terminalOf } from "../agent/operators/human/attach-contract.ts";
import { maskerOf } from "../agent/transcript.ts";
import { errorText } from "../base/errors.ts";
import { announceMode, readSettings } from "../control/settings.ts";
import { instancePaths, readInstance, stateRoot } from "../engine/instances.ts";
import { runMonitor, type Judged } from "../monitor/index.ts";
import type { Deps, SubjectInstance, TrialEvent } from "../protocol.ts";
import type { ControlStarter } from "../trial/control.ts";
import { processControl } from "../trial/process-control.ts";
import { inProcessLauncher } from "../trial/in-process-operator.ts";
import { childProcessLauncher, type OperatorLauncher } from "../trial/operator-run.ts";
import { oracle } from "../trial/oracle.ts";
import type { TrialPlan } from "../trial/plan.ts";
import type { TrialMonitor, TrialParts } from "../trial/run-trial.ts";
import type { OperatorName } from "./trial-options.ts";
import type { TrialRequest } from "./trial-request.ts";
import type { CliIo } from "./io.ts";
import { deployTikv } from "./deploy-tikv.ts";
import { instanceKeepers } from "./subjects.ts";

/** Joins the trial to engine, monitor and operator: the wiring, and nothing else. */
export function trialParts(
  request: TrialRequest,
  plan: TrialPlan,
  stateDir: string,
  io: CliIo,
  show: (event: TrialEvent) => void,
): TrialParts {
  const { deps } = io;
  return {
    deploy: (signal) => deployTikv({ request, plan, stateDir }, io, signal),
    openTickets: (path) => openTickets(path, deps),
    startMonitor: ({ instance, tickets, intervalMs }, failed) => monitorOf(instance, tickets, intervalMs, deps, failed),
    isUp: async (signal) => {
      const keeper = (await instanceKeepers(io))[request.engine];
      const paths = instancePaths(stateRoot(io.env), plan.instance);
      return (await keeper?.isUp({ id: plan.instance, paths, record: readInstance(paths.dir) }, signal)) ?? true;
    },
    control: controlOf(request, io),
    launch: launcherOf(request, plan, io),
    show,
  };
}

function monitorOf(
  instance: SubjectInstance,
  tickets: Parameters<typeof runMonitor>[0]["tickets"],
  intervalMs: number,
  deps: Deps,
  failed: (error: unknown) => void,
): TrialMonitor {
  const stop = new AbortController();
  let judged: readonly Judged[] = [];
  const done = runMonitor(
    {
      instance,
      tickets,
      deps,
      intervalMs,
      onEvent(event) {
        if (event.type === "observation") judged = event.judged;
        if (event.type === "problem") deps.log.warn("monitor_problem", { text: event.text });
      },
    },
    stop.signal,
  ).catch(failed);
  return {
    judgements: (name) => judged.filter(({ invariant }) => invariant.name === name).map(({ judgement }) => judgement),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

/** Null in legacy mode. @throws ConfigError */
function controlOf({ flags, engine }: TrialRequest, { deps, env }: CliIo): ControlStarter | null {
  const { settings } = readSettings({ env, flags: { composeMode: flags.composeMode } });
  announceMode(settings, deps.log);
  if (!settings.composeAgentEnabled) return null;
  if (engine === "process") return processControl(deps);
  return async (instance, given, signal) => {
    const { containerControl } = await import("../trial/container-control.ts");
    return await containerControl(deps, { env, attach: attachHere })(instance, given, signal);
  };
}

/** The person at this terminal works in the operator's container. */
async function attachHere(tickets: string, signal: AbortSignal): Promise<void> {
  const [{ attachTo }, { openTerminal }] = await Promise.all([
    import("../agent/operators/human/attach.ts"),
    import("../agent/operators/human/terminal.ts"),
  ]);
  await attachTo(terminalOf(tickets), openTerminal, signal);
}

/** In legacy mode: a person at this terminal, or a client that comes in at a socket of this machine. */
const worksFromHere = (operator: OperatorName): boolean => operator === "human" || operator === "external";

/** A control without a ticket has nobody to work it. */
function launcherOf({ flags, scenario, engine }: TrialRequest, plan: TrialPlan, io: CliIo): OperatorLauncher | null {
  if (scenario.control && scenario.ticket === null) return null;
  if (flags.operator === "oracle") return oracleLauncher(plan, io);
  const here = childProcessLauncher({ clock: io.deps.clock, env: io.env });
  if (engine === "process") return here;
  return async (variant, instance, given, signal) => {
    if (given.control?.startOperator != null)
      return await given.control.startOperator(variant, instance, given, signal);
    if (worksFromHere(flags.operator)) return await here(variant, instance, given, signal);
    const { containerLauncher } = await import("../trial/container-operator.ts");
    return await containerLauncher({ env: io.env })(variant, instance, given, signal);
  };
}

function oracleLauncher(plan: TrialPlan, { deps }: CliIo): OperatorLauncher {
  return inProcessLauncher(async (instance, ticketsPath, control, victims, signal) => {
    const told: Record<string, string> = { ...instance.operatorEnvironment("host"), ...control?.operator };
    const { ENGINE = "", NETWORK = null, PD_URLS = "" } = told;
    const endpoints = instance.endpoints("host");
    const current = new CurrentWork();
    await using client = await openSidecar(ENGINE, readSettings({ env: told }).settings, deps, signal);
    const through = client === null ? null : { client, work: current };
    await using engine = await openEngine(ENGINE, NETWORK, deps, signal, through);
    await using tickets = await openTickets(ticketsPath, deps);
    const worked = await runAgent(
      {
        tickets,
        current,
        engine,
        operator: oracle(plan.scenario, victims),
        kit: tikvKit({ endpoints, pdUrls: PD_URLS.split(",") }, deps),
        prometheus: endpoints.prometheusUrl === null ? null : prometheusClient({ url: endpoints.prometheusUrl }, deps),
        components: instance.components.map(({ component }) => component),
        instance: instance.id,
        mode: plan.variant.mode,
        limits: defaultLimits,
        mask: maskerOf([]),
        holder: `oracle-${deps.ids.hex(4)}`,
        leaseMs: 30_000,
        once: true,
        takesUnscoped: false,
      },
      deps,
      signal,
    );
    if (worked?.outcome === "aborted") throw new Error(errorText(worked.error));
  });
}
