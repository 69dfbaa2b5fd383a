import { statfs } from "node:fs/promises";
import { cpus, freemem, loadavg, totalmem } from "node:os";
import { HarnessError } from "../../base/errors.ts";
import type { Component, ContainerState, Engine } from "../../protocol.ts";
import type { Tickets } from "../../../tickets/index.ts";
import type { CommandName, CommandParams } from "../contract.ts";
import { readLog, type LogPage } from "./log-cursor.ts";

export interface PerformContext {
  readonly engine: Engine;
  readonly tickets: Tickets | null;
  readonly stateDir: string;
}

/** What an act gives back; `stdout` is for people and for callers of the original's API. */
export interface Performed {
  readonly data: unknown;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
}

type Performers = {
  readonly [N in CommandName]: (
    params: CommandParams<N>,
    context: PerformContext,
    signal: AbortSignal,
  ) => Promise<Performed>;
};

const done: Performed = { data: null };
const shown = (data: unknown): Performed => ({ data, stdout: `${JSON.stringify(data, null, 2)}\n` });

/** One row for each command. */
const PERFORM: Performers = {
  health: async (_, { engine }, signal) =>
    shown({ network: engine.network, ...countByState(await engine.list(signal)) }),
  list: async (_, { engine }, signal) => shown(await engine.list(signal)),
  inspect: async (p, { engine }, signal) => shown(await engine.inspect(p.component, signal)),
  stats: async (p, { engine }, signal) => shown(await engine.stats(p.component, signal)),
  logs: async (p, { engine }, signal) => {
    const page: LogPage = await readLog(engine, p.component, p, signal);
    return { data: page, stdout: page.lines.map(({ text }) => `${text}\n`).join("") };
  },
  start: async (p, { engine }, signal) => {
    await engine.start(p.component, signal);
    return done;
  },
  stop: async (p, { engine }, signal) => {
    await engine.stop(p.component, grace(p), signal);
    return done;
  },
  restart: async (p, { engine }, signal) => {
    await engine.restart(p.component, grace(p), signal);
    return done;
  },
  kill: async (p, { engine }, signal) => {
    await engine.kill(p.component, p.signal === undefined ? {} : { signalName: p.signal }, signal);
    return done;
  },
  pause: async (p, { engine }, signal) => {
    await engine.pause(p.component, signal);
    return done;
  },
  unpause: async (p, { engine }, signal) => {
    await engine.unpause(p.component, signal);
    return done;
  },
  exec: async (p, { engine }, signal) => {
    const bound = p.max_bytes === undefined ? {} : { maxBytes: p.max_bytes };
    const ran = await engine.exec(p.component, p.argv, { timeoutMs: p.timeout_ms, ...bound }, signal);
    return { data: ran, stdout: ran.stdout, stderr: ran.stderr, exitCode: ran.exitCode };
  },
  update: async (p, { engine }, signal) => {
    const limits = {
      ...(p.cpus === undefined ? {} : { cpus: p.cpus }),
      ...(p.memory_bytes === undefined ? {} : { memoryBytes: p.memory_bytes }),
      ...(p.restart_policy === undefined ? {} : { restartPolicy: p.restart_policy }),
    };
    await engine.update(p.component, limits, signal);
    return done;
  },
  recreate: async (p, { engine }, signal) => {
    await engine.recreate(p.component, p.image === undefined ? {} : { image: p.image }, signal);
    return done;
  },
  connect: async (p, { engine }, signal) => {
    await engine.connect(p.component, p.aliases === undefined ? {} : { aliases: p.aliases }, signal);
    return done;
  },
  disconnect: async (p, { engine }, signal) => {
    await engine.disconnect(p.component, signal);
    return done;
  },
  server_resources: async (_, { stateDir }) => shown(await resources(stateDir)),
  ticket_hold: async (p, { tickets }) => shown(await ticketsOf(tickets).hold(p.ticket)),
  ticket_unhold: async (p, { tickets }) => shown(await ticketsOf(tickets).unhold(p.ticket)),
};

/** @throws EngineError and whatever else the act's own part throws. */
export function perform(
  name: CommandName,
  params: unknown,
  context: PerformContext,
  signal: AbortSignal,
): Promise<Performed> {
  // The parameters were parsed by the row of this name.
  return (PERFORM[name] as (params: unknown, context: PerformContext, signal: AbortSignal) => Promise<Performed>)(
    params,
    context,
    signal,
  );
}

/**
 * For a declarative command that was begun by a server that died: `so` = what it asked for is the case; `not-so` = it
 * certainly had no lasting effect; `unclear` = something else has happened to the container since.
 */
export async function lookUp(
  name: CommandName,
  params: { readonly component: Component },
  intentAt: number,
  engine: Engine,
  signal: AbortSignal,
): Promise<"so" | "not-so" | "unclear"> {
  const state = await engine.inspect(params.component, signal);
  if (isSo(name, state, engine.network)) return "so";
  const touched = Math.max(state.startedAt ?? 0, state.finishedAt ?? 0) >= intentAt;
  return touched ? "unclear" : "not-so";
}

function isSo(name: CommandName, { status, networks }: ContainerState, network: string): boolean {
  switch (name) {
    case "start":
      return status === "running" || status === "paused";
    case "stop":
      return status === "exited" || status === "created";
    case "pause":
      return status === "paused";
    case "unpause":
      return status !== "paused";
    case "connect":
      return networks.includes(network);
    case "disconnect":
      return !networks.includes(network);
    default:
      return false;
  }
}

function grace({ grace_ms: graceMs }: { readonly grace_ms?: number | undefined }) {
  return graceMs === undefined ? {} : { graceMs };
}

function ticketsOf(tickets: Tickets | null): Tickets {
  if (tickets === null) throw new HarnessError("not-supported", "this server has no ticket file");
  return tickets;
}

function countByState(states: readonly ContainerState[]) {
  const containers = Object.groupBy(states, ({ status }) => status);
  return {
    containers: Object.fromEntries(Object.entries(containers).map(([status, some]) => [status, some?.length ?? 0])),
    unhealthy: states.filter(({ health }) => health === "unhealthy").map(({ component }) => component),
  };
}

/** Of the machine that the server runs on, in the keys of the original's `/metrics`. */
export async function resources(folder: string) {
  const disk = await statfs(folder);
  const [total, free] = [totalmem(), freemem()];
  const [diskTotal, diskFree] = [disk.blocks * disk.bsize, disk.bavail * disk.bsize];
  const cores = cpus().length;
  const load = loadavg()[0] ?? 0;
  return {
    cpu_cores: cores,
    /** Load of the last minute over the cores. */
    cpu_usage_pct: Math.min(100, (load / cores) * 100),
    load_1m: load,
    memory_total_bytes: total,
    memory_used_bytes: total - free,
    memory_used_pct: ((total - free) / total) * 100,
    disk_total_bytes: diskTotal,
    disk_used_bytes: diskTotal - diskFree,
    disk_used_pct: ((diskTotal - diskFree) / diskTotal) * 100,
  };
}
