import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../../base/make-folder.ts";
import { EngineError, HarnessError, type ErrorCode } from "../../base/errors.ts";
import { openOwnerEngine, type ProcessOwnerEngine } from "./client.ts";
import { CONFIG_FILE, SUPERVISOR_LOG, engineSocket, ownerSocket, socketFolder } from "./paths.ts";
import { supervisorConfigSchema, type NodeSpec } from "./spec.ts";

export interface SupervisorOptions {
  readonly instance: string;
  /** First part of the names that inspection shows: `<project>-<component>-1`. */
  readonly project: string;
  readonly network: string;
  readonly stateDir: string;
  /** Bound by the supervisor while it lives; see `ports.ts`. */
  readonly guardPort?: number;
  readonly nodes: readonly NodeSpec[];
  /** Folder of Node's compile cache, for the supervisor and its nodes: halves the processor time of a start. */
  readonly compileCache?: string;
}

export interface StartedSupervisor {
  readonly engine: ProcessOwnerEngine;
  readonly sockets: { readonly engine: string; readonly owner: string };
}

/**
 * Starts an instance's supervisor with its nodes and takes hold of it. It runs in a session of its own, so a Ctrl-C in
 * the owner's terminal does not reach it; it ends when the owner does, unless it is detached.
 *
 * @throws HarnessError `port-taken` when the guard port is, `internal` with the end of its log when it does not start.
 */
export async function startSupervisor(options: SupervisorOptions, signal: AbortSignal): Promise<StartedSupervisor> {
  signal.throwIfAborted();
  const { instance, project, network, stateDir } = options;
  makeFolder(stateDir, 0o700);
  const socketDir = socketFolder(stateDir, instance);
  const config = supervisorConfigSchema.parse({
    instance,
    project,
    network,
    stateDir,
    socketDir,
    guardPort: options.guardPort ?? null,
    nodes: options.nodes,
  });
  const configFile = path.join(stateDir, CONFIG_FILE);
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  const sockets = { engine: engineSocket(socketDir), owner: ownerSocket(socketDir) };
  const cache = options.compileCache === undefined ? {} : { NODE_COMPILE_CACHE: options.compileCache };
  const logFile = path.join(stateDir, SUPERVISOR_LOG);
  const engine = await takeHold(launch(configFile, logFile, cache), sockets.owner, logFile, signal);
  return { engine, sockets };
}

function launch(configFile: string, logFile: string, env: Readonly<Record<string, string>>): ChildProcess {
  const output = openSync(logFile, "a", 0o600);
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "supervisor-main.ts"), configFile], {
    detached: true,
    cwd: path.dirname(configFile),
    stdio: ["ignore", output, output, "ipc"],
    env: { PATH: process.env["PATH"] ?? "", NODE_NO_WARNINGS: "1", ...env },
  });
  closeSync(output);
  return child;
}

async function takeHold(child: ChildProcess, socketPath: string, logFile: string, signal: AbortSignal) {
  const exited = once(child, "exit");
  try {
    const ended = exited.then(([code]) => {
      throw new EngineError("internal", `the supervisor ended at once with code ${code}; its log: ${logFile}`);
    });
    ended.catch(() => undefined);
    const [said] = (await Promise.race([once(child, "message", { signal }), ended])) as [StartMessage];
    if ("error" in said) throw new HarnessError(said.error.code, said.error.message);
    const engine = await openOwnerEngine({ socketPath, hold: true }, signal);
    // Only now: until here the channel is what keeps it.
    child.disconnect();
    child.unref();
    return engine;
  } catch (error) {
    // Its nodes end before it does.
    child.kill("SIGTERM");
    await exited.catch(() => undefined);
    signal.throwIfAborted();
    throw error;
  }
}

type StartMessage =
  { readonly ready: true } | { readonly error: { readonly code: ErrorCode; readonly message: string } };
