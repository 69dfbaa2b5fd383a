import { readdirSync, readFileSync } from "node:fs";
import type { MetricRegistry } from "../../../common/metrics/registry.ts";

const TASKS = "/proc/self/task";
/** `sysconf(_SC_CLK_TCK)` on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Processor time of each thread. A TiKV has pools of them (rs_*, apply_*, grpc*); here one thread does all of their
 * work and is named as TiKV names its main one. Those of the runtime that write and sync files keep TiKV's name for
 * that; what compiles and collects garbage is `background`. Where the system does not say (macOS) there are no series.
 */
export function addThreadMetrics(registry: MetricRegistry): void {
  const cpu = registry.total(
    "tikv_thread_cpu_seconds_total",
    "Total user and system CPU time spent in seconds by thread",
  );
  const count = registry.gauge("tikv_threads_state", "Number of threads in each state.");
  registry.collect(() => {
    const threads = threadTimes();
    cpu.clear();
    count.clear();
    const states = new Map<string, number>();
    for (const { name, tid, seconds, state } of threads) {
      cpu.set({ name, tid }, seconds);
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    for (const [state, number] of states) count.set({ state }, number);
  });
}

interface ThreadTime {
  readonly name: string;
  readonly tid: string;
  readonly seconds: number;
  /** As /proc writes it: R, S, D ... */
  readonly state: string;
}

function threadTimes(): ThreadTime[] {
  try {
    let [writers, others] = [0, 0];
    return readdirSync(TASKS).map((tid) => {
      const { command, state, ticks } = parseStat(readFileSync(`${TASKS}/${tid}/stat`, "latin1"));
      const writer = command.startsWith("libuv");
      const name =
        Number(tid) === process.pid ? "tikv_server" : writer ? `store_write_${writers++}` : `background_${others++}`;
      return { name, tid, state, seconds: ticks / TICKS_PER_SECOND };
    });
  } catch {
    return [];
  }
}

/** The command may hold blanks and brackets: fields are counted from its last bracket on (proc(5)). */
export function parseStat(text: string): { readonly command: string; readonly state: string; readonly ticks: number } {
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  return {
    command: text.slice(text.indexOf("(") + 1, end),
    state: fields[0] ?? "",
    ticks: Number(fields[11]) + Number(fields[12]),
  };
}
