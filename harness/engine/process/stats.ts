import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Clock, ContainerStats } from "../../protocol.ts";

const SAMPLE_MS = 250;
/** Fixed in the kernel's interface to programs (USER_HZ). */
const TICKS_PER_SECOND = 100;

const NOTHING: ContainerStats = { cpuCores: 0, memoryBytes: 0, memoryLimitBytes: null };

/** What the process uses now: processor time over a quarter of a second, resident memory. All zero when it is gone. */
export async function processStats(pid: number | null, clock: Clock, signal: AbortSignal): Promise<ContainerStats> {
  if (pid === null) return NOTHING;
  try {
    return process.platform === "linux" ? await fromProc(pid, clock, signal) : await fromPs(pid);
  } catch (error) {
    signal.throwIfAborted();
    if (isGone(error)) return NOTHING;
    throw error;
  }
}

async function fromProc(pid: number, clock: Clock, signal: AbortSignal): Promise<ContainerStats> {
  const [ticks, from] = [await cpuTicks(pid), clock.monotonic()];
  await clock.sleep(SAMPLE_MS, signal);
  const usedSeconds = ((await cpuTicks(pid)) - ticks) / TICKS_PER_SECOND;
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"));
  return {
    cpuCores: usedSeconds / ((clock.monotonic() - from) / 1000),
    memoryBytes: Number(resident?.[1] ?? 0) * 1024,
    memoryLimitBytes: null,
  };
}

async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Where there is no /proc. Its processor figure is an average over the process's life on some systems. */
async function fromPs(pid: number): Promise<ContainerStats> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "%cpu=,rss=", "-p", String(pid)]);
  const [cpu, kilobytes] = stdout.trim().split(/\s+/).map(Number);
  return { cpuCores: (cpu ?? 0) / 100, memoryBytes: (kilobytes ?? 0) * 1024, memoryLimitBytes: null };
}

/** Neither file nor process: ENOENT and ESRCH from /proc, exit code 1 from ps. */
const isGone = (error: unknown): boolean =>
  ["ENOENT", "ESRCH", 1].includes((error as { code?: string | number }).code ?? "");
