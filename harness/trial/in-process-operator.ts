import { errorText } from "../base/errors.ts";
import type { TrialControl } from "./control.ts";
import type { SubjectInstance } from "../protocol.ts";
import type { OperatorExit } from "./operator-output.ts";
import type { OperatorLauncher } from "./operator-run.ts";

export type InProcessWork = (
  instance: SubjectInstance,
  ticketsPath: string,
  control: TrialControl | null,
  victims: () => readonly string[],
  signal: AbortSignal,
) => Promise<unknown>;

/**
 * An operator inside the harness: for `oracle`, which may be in no image and needs no separation. `work` claims the
 * first incident of the instance and works it to its end.
 */
export function inProcessLauncher(work: InProcessWork): OperatorLauncher {
  return (_variant, instance, { tickets, control, victims }, signal) => {
    const stopped = new AbortController();
    const ended = work(instance, tickets, control, victims, AbortSignal.any([signal, stopped.signal])).then(
      (): OperatorExit => ({ code: 0, error: null }),
      (error: unknown): OperatorExit => ({ code: 1, error: errorText(error) }),
    );
    const stop = async (): Promise<void> => {
      stopped.abort(new Error("the trial has ended"));
      await ended;
    };
    return Promise.resolve({ runsIn: "in-process", ended, stop, [Symbol.asyncDispose]: stop });
  };
}
