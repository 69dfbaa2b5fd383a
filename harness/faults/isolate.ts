import type { FaultFactory } from "../protocol.ts";
import { preflightRunning } from "./preflight.ts";

/** Takes one component off the instance's network while its process goes on: nothing comes in, nothing goes out. */
export const isolate: FaultFactory = ({ target }, engine) => {
  const attached = async (signal: AbortSignal) => (await engine.inspect(target, signal)).networks.length > 0;
  return {
    kind: "isolate",
    label: "off the network",
    reversible: true,
    async preflight(signal) {
      const why = await preflightRunning(engine, target, signal);
      if (why !== null) return why;
      return (await attached(signal)) ? null : `${target} is on no network already`;
    },
    inject: (signal) => engine.disconnect(target, signal),
    verify: async (expected, signal) => (await attached(signal)) === (expected === "gone"),
    async heal(signal) {
      // Without its alias the name would stay unresolvable (facts §0, trap 8): the engine puts back what it had.
      if (!(await attached(signal))) await engine.connect(target, {}, signal);
    },
  };
};
