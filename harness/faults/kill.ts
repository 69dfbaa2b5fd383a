import type { EpochMs, FaultFactory } from "../protocol.ts";
import { preflightRunning } from "./preflight.ts";

/** The component's process is gone at once, without a goodbye; the engine counts it as a manual stop. */
export const kill: FaultFactory = ({ target }, engine) => {
  let startedBefore: EpochMs | null = null;
  return {
    kind: "kill",
    label: "SIGKILL",
    reversible: true,
    preflight: (signal) => preflightRunning(engine, target, signal),
    async inject(signal) {
      startedBefore = (await engine.inspect(target, signal)).startedAt;
      await engine.kill(target, {}, signal);
    },
    async verify(expected, signal) {
      const { status, startedAt } = await engine.inspect(target, signal);
      if (expected === "gone") return status === "running";
      // A quick operator has started it again before we look: another start shows that it was gone.
      return status === "exited" || (startedBefore !== null && startedAt !== startedBefore);
    },
    async heal(signal) {
      const { status } = await engine.inspect(target, signal);
      if (status === "exited" || status === "created") await engine.start(target, signal);
    },
  };
};
