import type { FaultFactory } from "../protocol.ts";
import { preflightRunning } from "./preflight.ts";

/**
 * Freezes every process of one component: it keeps its sockets and its memory but does nothing, like a node in a
 * long stop-the-world pause. Peers see time-outs, never resets.
 */
export const hang: FaultFactory = ({ target }, engine) => {
  const status = async (signal: AbortSignal) => (await engine.inspect(target, signal)).status;
  return {
    kind: "hang",
    label: "frozen",
    reversible: true,
    preflight: (signal) => preflightRunning(engine, target, signal),
    inject: (signal) => engine.pause(target, signal),
    verify: async (expected, signal) => ((await status(signal)) === "paused") === (expected === "in-effect"),
    async heal(signal) {
      // An operator may have thawed, restarted or removed it meanwhile: only what is still frozen is ours to thaw.
      if ((await status(signal)) === "paused") await engine.unpause(target, signal);
    },
  };
};
