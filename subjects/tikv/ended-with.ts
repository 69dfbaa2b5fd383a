import type { Workload } from "../../harness/protocol.ts";

/** The workload, which also ends what runs it when it is disposed. */
export function endedWith(workload: Workload, end: () => Promise<void>): Workload {
  return {
    metricsUrl: workload.metricsUrl,
    window: (windowMs, signal) => workload.window(windowMs, signal),
    history: (signal) => workload.history(signal),
    stop: (signal) => workload.stop(signal),
    readBack: (options, signal) => workload.readBack(options, signal),
    async [Symbol.asyncDispose]() {
      await workload[Symbol.asyncDispose]();
      await end();
    },
  };
}
