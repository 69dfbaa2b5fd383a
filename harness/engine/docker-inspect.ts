import { z } from "zod";
import type { EpochMs } from "../base/clock.ts";
import type { Component, ContainerState } from "../protocol.ts";

const endpoint = z.object({
  Aliases: z.array(z.string()).nullish(),
  IPAddress: z.string().nullish(),
  IPAMConfig: z.record(z.string(), z.unknown()).nullish(),
});

/** What we read of `GET /containers/{id}/json`; the engine adds much more, and old ones leave some out. */
export const inspectionSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Created: z.string(),
  Image: z.string(),
  RestartCount: z.number().default(0),
  State: z.object({
    Status: z.string(),
    StartedAt: z.string(),
    FinishedAt: z.string(),
    ExitCode: z.number(),
    OOMKilled: z.boolean().default(false),
    Health: z.object({ Status: z.string() }).nullish(),
  }),
  Config: z.object({
    Image: z.string(),
    Tty: z.boolean().default(false),
    Labels: z
      .record(z.string(), z.string())
      .nullish()
      .transform((labels) => labels ?? {}),
  }),
  HostConfig: z.object({
    Init: z.boolean().nullish(),
    NanoCpus: z.number().nullish(),
    CpuQuota: z.number().nullish(),
    CpuPeriod: z.number().nullish(),
    Memory: z.number().nullish(),
    RestartPolicy: z.object({ Name: z.string(), MaximumRetryCount: z.number().default(0) }).nullish(),
  }),
  NetworkSettings: z.object({
    Networks: z
      .record(z.string(), endpoint)
      .nullish()
      .transform((networks) => networks ?? {}),
    Ports: z
      .record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullish())
      .nullish()
      .transform((ports) => ports ?? {}),
  }),
});

export type Inspection = z.output<typeof inspectionSchema>;

/** What the engine's machine has: a limit at or above it limits nothing. */
export interface Capacity {
  readonly cpus: number;
  readonly memoryBytes: number;
}

export function toContainerState(component: Component, found: Inspection, capacity: Capacity): ContainerState {
  const { State: state, HostConfig: host } = found;
  const status = statusOf(state.Status);
  const policy = host.RestartPolicy;
  return {
    component,
    name: found.Name.replace(/^\//, ""),
    image: found.Config.Image,
    status,
    startedAt: instant(state.StartedAt),
    finishedAt: instant(state.FinishedAt),
    exitCode: status === "exited" || status === "restarting" ? state.ExitCode : null,
    oomKilled: state.OOMKilled,
    restartCount: found.RestartCount,
    health: healthOf(state.Health?.Status),
    networks: Object.keys(found.NetworkSettings.Networks),
    limits: {
      cpus: below(cpusOf(host), capacity.cpus),
      memoryBytes: below(host.Memory ?? 0, capacity.memoryBytes),
    },
    restartPolicy: { name: policyName(policy?.Name), max: policy?.MaximumRetryCount ?? 0 },
  };
}

function statusOf(status: string): ContainerState["status"] {
  if (status === "running" || status === "paused" || status === "restarting" || status === "created") return status;
  return status === "removing" ? "missing" : "exited";
}

function healthOf(status: string | undefined): ContainerState["health"] {
  return status === "healthy" || status === "unhealthy" || status === "starting" ? status : "none";
}

function policyName(name: string | undefined): ContainerState["restartPolicy"]["name"] {
  return name === "always" || name === "on-failure" || name === "unless-stopped" ? name : "no";
}

function cpusOf(host: Inspection["HostConfig"]): number {
  if ((host.NanoCpus ?? 0) > 0) return (host.NanoCpus ?? 0) / 1e9;
  return (host.CpuQuota ?? 0) > 0 ? (host.CpuQuota ?? 0) / (host.CpuPeriod || 100_000) : 0;
}

function below(limit: number, capacity: number): number | null {
  return limit > 0 && limit < capacity ? limit : null;
}

/** Docker writes the year 1 for "never". */
function instant(text: string): EpochMs | null {
  const at = Date.parse(text);
  return Number.isNaN(at) || at <= 0 ? null : (at as EpochMs);
}
