import { writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, HarnessError } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import { ensureAgentImages, openAgentCompose, type AgentSite } from "../engine/agent-compose.ts";
import type { Compose } from "../engine/compose.ts";
import { dockerClient } from "../engine/docker-client.ts";
import { composeContainer, type ComposeContainer } from "../engine/docker-support.ts";
import { holdPortBlock } from "../engine/process/ports.ts";
import { standInNotice } from "../panel/notice.ts";
import type { Deps, SubjectInstance } from "../protocol.ts";
import type { ControlRecord } from "../store/record.ts";
import {
  controlRecord,
  makePanelUser,
  makeTokens,
  signInOf,
  tokensBelow,
  tokensOf,
  type ControlGiven,
  type ControlStarter,
  type TrialControl,
} from "./control.ts";
import { deploymentOf } from "./rollback.ts";
import { OperatorOutput } from "./operator-output.ts";
import {
  operatorEnvironment,
  placeOf,
  type OperatorLauncher,
  type OperatorPlace,
  type OperatorRun,
} from "./operator-run.ts";

const AGENT = "agent";
const BEHIND = ["compose-agent", "statuspanel"];
const DOWN_MS = 10_000;
const LOG_LINES = 2_000;
const HEALTHY = { timeoutMs: 90_000, everyMs: 250 };
/** Of ours, for the model; the rest of our environment stays here. */
const PASSED_ON = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"];
/** Of `operatorEnvironment`: what the compose file takes for its agent. */
const TAKEN = ["PD_URLS", "PROMETHEUS_URL", "OPERATOR", "OPERATOR_SAFETY_MODE", "MODEL", "MAX_USD"];

/** Makes the terminal of whoever runs us that of the operator with this ticket file, until either has ended. */
export type Attach = (tickets: string, signal: AbortSignal) => Promise<void>;

/**
 * Compose mode in containers: the trial's operator runs as `docker/agent/docker-compose.yml` runs it for people, on the
 * network of the trial's cluster, behind the guard of its namespace. Nothing restarts by itself here: what ends in
 * mid-trial is the lab's failure.
 */
export function containerControl(
  deps: Deps,
  { env, attach }: { readonly env: Readonly<Record<string, string | undefined>>; readonly attach: Attach },
): ControlStarter {
  return async (instance, given, signal) => {
    await ensureAgentImages("compose", signal);
    await makeTokens(given.folder, deps, signal);
    await makePanelUser(given.folder, deps);
    const handed = await tokensOf("compose_agent", given.folder);
    // Until the panel has its port.
    await using block = await holdPortBlock(1, deps.random.fork(`${instance.id}/control`));
    const [panelPort = 0] = block.ports;
    const project = deploymentOf(instance.id);
    const compose = await openAgentCompose("compose", project, siteOf(instance, given, panelPort, env), signal);
    const down = () => compose.down({ volumes: true, timeoutMs: DOWN_MS }, new AbortController().signal);
    try {
      await compose.up({ services: BEHIND }, signal);
      const sidecar = await composeContainer(await dockerClient(env), { project, service: "compose-agent" }, signal);
      await healthy(sidecar, deps, signal);
      return controlOf({ instance, given, project, panelPort, compose, sidecar, handed, attach, down });
    } catch (error) {
      await down();
      throw error;
    }
  };
}

interface Running {
  readonly instance: SubjectInstance;
  readonly given: ControlGiven;
  readonly project: string;
  readonly panelPort: number;
  readonly compose: Compose;
  readonly sidecar: ComposeContainer;
  /** TOKEN_DIR of an operator's program on this machine. */
  readonly handed: string;
  readonly attach: Attach;
  down(): Promise<void>;
}

function controlOf(running: Running): TrialControl {
  const { instance, given, panelPort, sidecar, handed, down } = running;
  let finished: Promise<ControlRecord> | null = null;
  const finish = async (): Promise<ControlRecord> => {
    await sidecar.stop(DOWN_MS);
    // The cluster's logs are collected by its engine, which does not know this container.
    await writeFile(join(given.folder, "compose-agent.log"), `${await sidecar.lastWords(LOG_LINES)}\n`);
    return controlRecord(given.folder);
  };
  return {
    panel: `http://127.0.0.1:${panelPort} (${signInOf(given.folder)})`,
    // From this machine by the socket beside the queue; the container's own variables are in the compose file.
    operator: {
      ENGINE: `control:unix:${join(given.folder, "control.sock")}`,
      AGENT_ID: "operator",
      DEPLOYMENT_HASH: instance.id,
      COMPOSE_AGENT_ENABLED: "true",
      CONTROL_PLANE: "compose_agent",
      TOKEN_DIR: handed,
    },
    startOperator: operatorIn(running),
    finish: () => (finished ??= finish()),
    [Symbol.asyncDispose]: down,
  };
}

/** The agent's container of the same project, with its network's guard and its way to the model. */
function operatorIn({ project, compose, attach }: Running): OperatorLauncher {
  return async (variant, _instance, { log, tickets }, signal) => {
    const output = new OperatorOutput(log);
    await compose.up({ services: [AGENT] }, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new HarnessError("operator-failed", `cannot start the operator's container: ${errorText(cause)}`, {
        cause,
      });
    });
    const container = await composeContainer(
      await dockerClient(),
      { project, service: AGENT, output: (bytes, stream) => output.take(bytes, stream) },
      signal,
    );
    const run = await output.listening(runOf(container, output, placeOf(variant, "guarded-container")), signal);
    return variant.name === "human" ? atTerminal(run, (within) => attach(tickets, within)) : run;
  };
}

/** A person works it from here. Their terminal is free again once it has ended; without a way to them it ends. */
function atTerminal(run: OperatorRun, attach: (signal: AbortSignal) => Promise<void>): OperatorRun {
  const over = new AbortController();
  let failure: string | null = null;
  const attached = attach(over.signal).catch(async (error: unknown) => {
    failure = errorText(error);
    await run.stop(DOWN_MS);
  });
  const leave = async (): Promise<void> => {
    over.abort(new Error("the operator's program has ended"));
    await attached;
  };
  const ended = run.ended.then(async (exit) => {
    await leave();
    return failure === null ? exit : { ...exit, error: failure };
  });
  return {
    runsIn: run.runsIn,
    ended,
    stop: (graceMs) => run.stop(graceMs),
    async [Symbol.asyncDispose]() {
      await run[Symbol.asyncDispose]();
      await ended;
    },
  };
}

function runOf(container: ComposeContainer, output: OperatorOutput, runsIn: OperatorPlace): OperatorRun {
  const ended = container.ended.then(({ code, why }) => output.exit(code, why));
  return {
    runsIn,
    ended,
    stop: (graceMs) => container.stop(graceMs),
    [Symbol.asyncDispose]: () => container.stop(5_000),
  };
}

/** @throws HarnessError with the end of what it said when it ends, or is not well in time. */
async function healthy(sidecar: ComposeContainer, { clock }: Deps, signal: AbortSignal): Promise<void> {
  try {
    await waitFor(
      async () => {
        if (!(await sidecar.running(signal))) throw new HarnessError("operator-failed", "it has ended");
        return (await sidecar.health(signal)) === "healthy";
      },
      { ...HEALTHY, clock, what: "the compose-agent to be well", signal },
    );
  } catch (cause) {
    signal.throwIfAborted();
    const said = await sidecar.lastWords(3).catch(() => "");
    throw new HarnessError("operator-failed", `cannot start the control plane: ${errorText(cause)}\n${said}`, {
      cause,
    });
  }
}

function siteOf(
  instance: SubjectInstance,
  { tickets, folder, variant }: ControlGiven,
  panelPort: number,
  env: Readonly<Record<string, string | undefined>>,
): AgentSite {
  const told = operatorEnvironment(variant, instance, "network", null);
  const pick = (from: Readonly<Record<string, string | undefined>>, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, from[name] ?? ""]));
  return {
    ticketsDir: dirname(tickets),
    ticketsFile: basename(tickets),
    network: instance.engine.network,
    subjectProject: (told["ENGINE"] ?? "").replace(/^docker:/, ""),
    instance: instance.id,
    stateDir: folder,
    tokenDir: tokensBelow(folder),
    runbooks: variant.runbookDirs,
    more: {
      ...pick(env, PASSED_ON),
      ...pick(told, TAKEN),
      DEPLOYMENT_HASH: instance.id,
      INSTANCE_LABEL: instance.id,
      PANEL_PORT: String(panelPort),
      // For people alone: no other container is given it.
      PANEL_NOTICE: standInNotice(instance) ?? "",
      RESTART_POLICY: "no",
      AGENT_FLAGS: "--once",
      AGENT_ID: "operator",
    },
  };
}
