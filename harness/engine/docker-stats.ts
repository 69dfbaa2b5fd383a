import { z } from "zod";
import type { ContainerStats } from "../protocol.ts";
import type { Capacity } from "./docker-inspect.ts";

const cpu = z.object({ cpu_usage: z.object({ total_usage: z.number() }) });
const schema = z.object({
  read: z.string(),
  preread: z.string(),
  cpu_stats: cpu,
  precpu_stats: cpu,
  memory_stats: z.object({
    usage: z.number().optional(),
    limit: z.number().optional(),
    stats: z.record(z.string(), z.number()).optional(),
  }),
});

/** From a reply with two samples one second apart. A stopped container's reply has neither. */
export function toContainerStats(reply: unknown, capacity: Capacity): ContainerStats {
  const { read, preread, cpu_stats, precpu_stats, memory_stats } = schema.parse(reply);
  const elapsedNs = (Date.parse(read) - Date.parse(preread)) * 1e6;
  const usedNs = cpu_stats.cpu_usage.total_usage - precpu_stats.cpu_usage.total_usage;
  const running = Date.parse(preread) > 0 && elapsedNs > 0;
  // As `docker stats` does: page cache that can be dropped is not "used" (cgroup v2, then v1).
  const cache = memory_stats.stats?.["inactive_file"] ?? memory_stats.stats?.["total_inactive_file"] ?? 0;
  const limit = memory_stats.limit ?? 0;
  return {
    cpuCores: running ? Math.max(0, usedNs / elapsedNs) : 0,
    memoryBytes: running ? Math.max(0, (memory_stats.usage ?? 0) - cache) : 0,
    memoryLimitBytes: limit > 0 && limit < capacity.memoryBytes ? limit : null,
  };
}
