import { readdirSync, readFileSync } from "node:fs";
import type { EpochMs } from "../../../harness/base/clock.ts";
import type { MetricRegistry } from "./registry.ts";

/** What every server's Prometheus client exports about its own process. */
export function addProcessMetrics(registry: MetricRegistry, startedAt: EpochMs): void {
  const start = registry.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
  const cpu = registry.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
  const resident = registry.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  const virtual = registry.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  const files = registry.gauge("process_open_fds", "Number of open file descriptors.");
  let usedBefore = 0;
  registry.collect(() => {
    const { user, system } = process.cpuUsage();
    start.set({}, startedAt / 1000);
    const used = (user + system) / 1e6;
    cpu.inc({}, used - usedBefore);
    usedBefore = used;
    resident.set({}, process.memoryUsage.rss());
    const size = virtualBytes();
    if (size !== null) virtual.set({}, size);
    const open = openFiles();
    if (open !== null) files.set({}, open);
  });
}

/** Null where the system does not say (macOS). Fields are counted from the command's closing bracket on (proc(5)). */
function virtualBytes(): number | null {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[20]);
  } catch {
    return null;
  }
}

/** Null where the system does not say (macOS). */
function openFiles(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}
