import { z } from "zod";
import { isoTime, type Clock, type EpochMs } from "../../base/clock.ts";
import type { ContainerState, Engine, Tool } from "../../protocol.ts";
import { component, reason, said, saidJson } from "./shared.ts";

const time = (at: EpochMs | null): string | null => (at === null ? null : isoTime(at));

/** What an operator may know of a container: by construction no environment, mounts or labels. */
function summary(state: ContainerState) {
  return {
    component: state.component,
    status: state.status,
    health: state.health,
    exit_code: state.status === "running" || state.status === "paused" ? null : state.exitCode,
    oom_killed: state.oomKilled,
    started_at: time(state.startedAt),
    finished_at: time(state.finishedAt),
    restart_count: state.restartCount,
    image: state.image,
    networks: state.networks,
  };
}

const listInput = z.strictObject({ reason });

export function containerList(engine: Engine): Tool<typeof listInput> {
  return {
    name: "container_list",
    description:
      "All containers of this cluster: status, exit code, start and end time, restarts by policy, health, networks.",
    input: listInput,
    effect: () => "read",
    run: async (_, signal) => saidJson((await engine.list(signal)).map(summary)),
  };
}

const inspectInput = z.strictObject({ component, reason });

export function containerInspect(engine: Engine): Tool<typeof inspectInput> {
  return {
    name: "container_inspect",
    description: "One container in full: as container_list, with resource limits and restart policy.",
    input: inspectInput,
    effect: () => "read",
    run: async (input, signal) => {
      const state = await engine.inspect(input.component, signal);
      return saidJson({
        ...summary(state),
        limits: { cpus: state.limits.cpus, memory_bytes: state.limits.memoryBytes },
        restart_policy: state.restartPolicy,
      });
    },
  };
}

const logsInput = z.strictObject({
  component,
  tail: z.int().min(1).max(2_000).default(100).describe("how many of the last lines"),
  since_seconds: z.int().min(1).max(86_400).optional().describe("only lines of the last so many seconds"),
  contains: z.string().min(1).max(200).optional().describe("only lines that contain this text, any case"),
  reason,
});

export function containerLogs(engine: Engine, clock: Clock): Tool<typeof logsInput> {
  return {
    name: "container_logs",
    description: "Log lines of one container, oldest first, each with the time the engine received it and its stream.",
    input: logsInput,
    effect: () => "read",
    run: async (input, signal) => {
      const since =
        input.since_seconds === undefined ? {} : { since: (clock.now() - input.since_seconds * 1_000) as EpochMs };
      // A filter looks at more lines than it returns: what is searched for is often older than the last lines.
      const lines = await engine.logs(
        input.component,
        { tail: input.contains === undefined ? input.tail : 5_000, ...since },
        signal,
      );
      const wanted = input.contains?.toLowerCase();
      const shown = (wanted === undefined ? lines : lines.filter((line) => line.text.toLowerCase().includes(wanted)))
        .slice(-input.tail)
        .map((line) => `${line.at === null ? "-" : isoTime(line.at)} ${line.stream} ${line.text}`);
      return said(shown.length === 0 ? "no such log lines" : shown.join("\n"));
    },
  };
}

const statsInput = z.strictObject({ component, reason });

export function containerStats(engine: Engine): Tool<typeof statsInput> {
  return {
    name: "container_stats",
    description: "Processor cores in use and memory of one container, with its memory limit.",
    input: statsInput,
    effect: () => "read",
    run: async (input, signal) => {
      const stats = await engine.stats(input.component, signal);
      return saidJson({
        cpu_cores: stats.cpuCores,
        memory_bytes: stats.memoryBytes,
        memory_limit_bytes: stats.memoryLimitBytes,
      });
    },
  };
}
