import type { Deps, Workload } from "../../../harness/protocol.ts";

export interface ConnectOptions {
  /** Base URL of the program's HTTP side, e.g. `http://127.0.0.1:20090`. */
  readonly url: string;
  /** How long the program may take to answer for the first time. */
  readonly timeoutMs?: number;
  /** Delete every key of this run when disposed: for clusters that are not ours. */
  readonly cleanUp?: boolean;
}

/**
 * The lab's handle on a running workload program. Waits until it answers and estimates the offset between its monotonic
 * clock and ours. Disposing lets go of the program (after deleting its keys when asked); it does not end the process:
 * whoever started it does.
 *
 * @throws HarnessError `workload-failed` when it does not answer within `timeoutMs`.
 */
export async function connectWorkload(
  _options: ConnectOptions,
  _deps: Pick<Deps, "clock" | "fetch" | "log">,
  _signal: AbortSignal,
): Promise<Workload> {
  return Promise.reject(new Error("not implemented"));
}
