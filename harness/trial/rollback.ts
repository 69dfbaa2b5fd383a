import { watchTickets, type Tickets } from "../../tickets/index.ts";
import { HarnessError } from "../base/errors.ts";
import type { Deps, InstanceId } from "../protocol.ts";

/**
 * Watches for the control plane being given up in the middle of a trial: an operator that suddenly holds the engine
 * itself is another experiment, so `failed` is called and the trial is void.
 */
export function watchRollback(
  tickets: Tickets,
  deployment: InstanceId,
  deps: Pick<Deps, "clock" | "log">,
  failed: (error: unknown) => void,
): AsyncDisposable {
  const stop = new AbortController();
  const watching = (async () => {
    for await (const _ of watchTickets(tickets.path, { ...deps, signal: stop.signal })) {
      const [event] = await tickets.watchdog.events({ deployment, kinds: ["legacy-fallback"], limit: 1 });
      if (event === undefined) continue;
      failed(
        new HarnessError("operator-failed", `the operator went back to legacy mode in mid-trial: ${event.reason}`),
      );
      return;
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) failed(error);
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}
