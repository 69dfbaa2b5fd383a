import { join, resolve } from "node:path";
import { errorText, HarnessError } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import type { ProcessOwnerEngine } from "../engine/process/client.ts";
import { holdPortBlock } from "../engine/process/ports.ts";
import type { NodeSpec } from "../engine/process/spec.ts";
import { standInNotice } from "../panel/notice.ts";
import type { Component, Deps, OwnerEngine, SubjectInstance } from "../protocol.ts";
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

const COMPOSE_AGENT = "compose-agent" as Component;
const PANEL = "statuspanel" as Component;
const HOST = "127.0.0.1";
const READY = { timeoutMs: 60_000, everyMs: 50 };
const STOP_GRACE_MS = 10_000;

/**
 * Compose mode without containers: compose-agent and panel as processes of the instance's supervisor, which restarts
 * them when they fail and ends them with the instance. The supervisor's socket takes the place of Docker's: of the
 * operator's programs only the compose-agent is told where it is.
 */
export function processControl(deps: Deps): ControlStarter {
  return async (instance, given, signal) => {
    const engine = ownerOf(instance.engine);
    await makeTokens(given.folder, deps, signal);
    await makePanelUser(given.folder, deps);
    const block = await holdPortBlock(3, deps.random.fork(`${instance.id}/control`));
    const [control = 0, machines = 0, page = 0] = block.ports;
    const handed = {
      agent: await tokensOf("compose_agent", given.folder),
      panel: await tokensOf("status_panel", given.folder),
    };
    const parts = { instance, given, block, control, machines, page, handed };
    // What a start that was killed has left beside a cluster that stays.
    await remove(engine, [COMPOSE_AGENT, PANEL]);
    const started: Component[] = [];
    try {
      for (const spec of [composeAgentSpec(parts), panelSpec(parts)]) {
        await engine.addSupport(spec, signal);
        started.push(spec.component as Component);
      }
      await answers(engine, COMPOSE_AGENT, control, deps, signal);
      await answers(engine, PANEL, machines, deps, signal);
      return controlOf(engine, parts);
    } catch (error) {
      await remove(engine, started);
      await block[Symbol.asyncDispose]();
      throw error;
    }
  };
}

interface Parts {
  readonly instance: SubjectInstance;
  readonly given: ControlGiven;
  /** Held for as long as the ports are in use. */
  readonly block: AsyncDisposable;
  /** Ports: of the control API, of the panel's door for programs, of its page. */
  readonly control: number;
  readonly machines: number;
  readonly page: number;
  /** TOKEN_DIR of each. */
  readonly handed: { readonly agent: string; readonly panel: string };
}

function controlOf(engine: ProcessOwnerEngine, parts: Parts): TrialControl {
  let finished: Promise<ControlRecord> | null = null;
  const finish = async (): Promise<ControlRecord> => {
    await engine.stop(COMPOSE_AGENT, { graceMs: STOP_GRACE_MS }, new AbortController().signal);
    return controlRecord(parts.given.folder);
  };
  return {
    operator: operatorVariables(parts),
    startOperator: null,
    panel: `http://${HOST}:${parts.page} (${signInOf(parts.given.folder)})`,
    finish: () => (finished ??= finish()),
    [Symbol.asyncDispose]: async () => {
      await remove(engine, [COMPOSE_AGENT, PANEL]);
      await parts.block[Symbol.asyncDispose]();
    },
  };
}

/** With the supervisor, which may be gone already, they are gone too. */
async function remove(engine: ProcessOwnerEngine, components: readonly Component[]): Promise<void> {
  const signal = new AbortController().signal;
  for (const component of components) await engine.removeSupport(component, signal).catch(() => {});
}

/** What all parts of a deployment agree on. */
function shared({ instance, machines }: Parts): Record<string, string> {
  return {
    INSTANCE_ID: instance.id,
    DEPLOYMENT_HASH: instance.id,
    COMPOSE_AGENT_ENABLED: "true",
    CONTROL_PLANE: "compose_agent",
    DASHBOARD_URL: `http://${HOST}:${machines}`,
  };
}

function operatorVariables(parts: Parts): Record<string, string> {
  return {
    ...shared(parts),
    ENGINE: `control:http://${HOST}:${parts.control}`,
    AGENT_ID: "operator",
    TOKEN_DIR: parts.handed.agent,
  };
}

function composeAgentSpec(parts: Parts): Omit<NodeSpec, "support"> {
  const { instance, given, control } = parts;
  const { ENGINE = "" } = instance.operatorEnvironment("host");
  return node(parts, COMPOSE_AGENT, {
    argv: [program("../control/main"), given.tickets],
    env: {
      ...shared(parts),
      AGENT_ID: COMPOSE_AGENT,
      ENGINE,
      TOKEN_DIR: tokensBelow(given.folder),
      CONTROL_LISTEN: `${HOST}:${control}`,
      STATE_DIR: given.folder,
      OPERATOR_SAFETY_MODE: given.variant.mode,
    },
    ports: { http: control },
  });
}

function panelSpec(parts: Parts): Omit<NodeSpec, "support"> {
  const { instance, control, machines, page } = parts;
  const notice = standInNotice(instance);
  return node(parts, PANEL, {
    argv: [program("../panel/main")],
    env: {
      ...shared(parts),
      CONTROL_URL: `http://${HOST}:${control}`,
      TOKEN_DIR: parts.handed.panel,
      PANEL_LISTEN: `${HOST}:${page}`,
      PANEL_AGENTS_LISTEN: `${HOST}:${machines}`,
      ...(notice !== null && { PANEL_NOTICE: notice }),
    },
    ports: { http: page, agents: machines },
  });
}

function node(
  { given }: Parts,
  component: string,
  own: Pick<NodeSpec, "argv" | "env" | "ports">,
): Omit<NodeSpec, "support"> {
  return {
    component,
    role: "control",
    image: `${component}:1`,
    ...own,
    cwd: join(given.folder, "nodes", component),
    restartPolicy: { name: "on-failure", max: 0 },
    stopGraceMs: STOP_GRACE_MS,
  };
}

/** @throws HarnessError with the end of what it said when it ends, or does not answer in time. */
async function answers(
  engine: ProcessOwnerEngine,
  component: Component,
  port: number,
  deps: Deps,
  signal: AbortSignal,
): Promise<void> {
  try {
    await waitFor(
      async () => {
        const { status, restartCount } = await engine.inspect(component, signal);
        if (status === "exited" || restartCount > 0)
          throw new HarnessError("operator-failed", `${component} has ended`);
        return await deps.fetch(`http://${HOST}:${port}/health`, { signal }).then(
          (response) => response.ok,
          () => false,
        );
      },
      { ...READY, clock: deps.clock, what: `${component} to answer`, signal },
    );
  } catch (cause) {
    signal.throwIfAborted();
    const said = await engine.logs(component, { tail: 3 }, signal).catch(() => []);
    const last = said.map(({ text }) => text).join("\n");
    throw new HarnessError("operator-failed", `cannot start the control plane: ${errorText(cause)}\n${last}`, {
      cause,
    });
  }
}

function ownerOf(engine: OwnerEngine): ProcessOwnerEngine {
  if (engine.kind !== "process" || !("addSupport" in engine))
    throw new HarnessError("not-supported", "this control plane runs beside the embedded cluster only");
  return engine as ProcessOwnerEngine;
}

/** Beside the sources, or beside what was compiled from them. */
function program(path: string): string {
  return resolve(import.meta.dirname, `${path}${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`);
}
