import { waitFor } from "../base/wait.ts";
import type { FaultFactory } from "../protocol.ts";
import { FaultError } from "./fault-error.ts";
import { preflightRunning } from "./preflight.ts";

/** How long one automatic restart may take before we call the policy broken. */
const RESTART_TIMEOUT_MS = 90_000;

/**
 * The process dies by itself, and again as soon as the engine has restarted it, until the engine's growing back-off
 * keeps it down for `untilDownMs`. Then it is left alone and comes back by the policy. An engine resets its back-off
 * after 10 s of running (moby: restartmanager), so each crash follows the start at once.
 */
export const crashLoop: FaultFactory = ({ target, params }, engine, { clock }) => {
  const untilDownMs = params["untilDownMs"] ?? 3_000;
  const maxCrashes = params["maxCrashes"] ?? 10;
  let crashed = false;
  return {
    kind: "crash-loop",
    label: "crashes by itself, restarted by the engine",
    reversible: true,
    async preflight(signal) {
      const why = await preflightRunning(engine, target, signal);
      if (why !== null) return why;
      const { restartPolicy } = await engine.inspect(target, signal);
      return restartPolicy.name === "no" ? `${target} has no restart policy, so it would not come back` : null;
    },
    async inject(signal) {
      for (let crash = 1; crash <= maxCrashes; crash++) {
        const { startedAt, restartCount } = await engine.inspect(target, signal);
        const diedMs = clock.monotonic();
        await engine.crash(target, signal);
        crashed = true;
        // The engine tells nobody how long it will wait, so the length of this outage is how we learn of it.
        const back = waitFor(
          async () => {
            const state = await engine.inspect(target, signal);
            // A start by hand resets the policy's count: an operator has taken over, and whatever follows is theirs.
            if (state.restartCount < restartCount) return "taken over" as const;
            if (state.status === "running" && state.startedAt !== startedAt)
              return state.restartCount > restartCount ? ("back" as const) : ("taken over" as const);
            return clock.monotonic() - diedMs >= untilDownMs ? ("down" as const) : null;
          },
          { clock, timeoutMs: RESTART_TIMEOUT_MS, everyMs: 50, what: `${target} to be restarted`, signal },
        );
        if ((await back) !== "back") return;
      }
      throw new FaultError(`${target} crashed ${maxCrashes} times and was never down for ${untilDownMs} ms`);
    },
    async verify(expected, signal) {
      const state = await engine.inspect(target, signal);
      if (expected === "gone") return state.status === "running";
      return crashed || state.status !== "running";
    },
    async heal(signal) {
      const { status } = await engine.inspect(target, signal);
      if (status === "exited" || status === "created") await engine.start(target, signal);
    },
  };
};
