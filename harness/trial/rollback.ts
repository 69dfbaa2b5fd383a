import { watchTickets, type Tickets } from "../../tickets/index.ts";
import { HarnessError } from "../base/errors.ts";
import type { Deps, InstanceId } from "../protocol.ts";

/** Compose project of a trial's operator, and the deployment that a watchdog of it writes about. */
export const deploymentOf = (instance: InstanceId): string => `operator-${instance}`;

/**
 * Watches for the control plane being given up in the middle of a trial: an operator that suddenly holds the engine
 * itself is another experiment, so `failed` is called and the trial is void.
 */
export function watchRollback(
  tickets: Tickets,
  instance: InstanceId,
  deps: Pick<Deps, "clock" | "log">,
  failed: (error: unknown) => void,
): AsyncDisposable {
  const stop = new AbortController();
  const deployments = [instance, deploymentOf(instance)];
  const watching = (async () => {
    for await (const _ of watchTickets(tickets.path, { ...deps, signal: stop.signal })) {
      const events = await tickets.watchdog.events({ kinds: ["legacy-fallback"] });
      const event = events.find(({ deployment }) => deployments.includes(deployment));
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
