import type { FaultFactory } from "../protocol.ts";
import { preflightRunning } from "./preflight.ts";

/** The component's process is gone at once, without a goodbye; the engine counts it as a manual stop. */
export const kill: FaultFactory = ({ target }, engine) => ({
  kind: "kill",
  label: "SIGKILL",
  reversible: true,
  preflight: (signal) => preflightRunning(engine, target, signal),
  inject: (signal) => engine.kill(target, {}, signal),
  async verify(expected, signal) {
    const { status } = await engine.inspect(target, signal);
    return expected === "in-effect" ? status === "exited" : status === "running";
  },
  async heal(signal) {
    const { status } = await engine.inspect(target, signal);
    if (status === "exited" || status === "created") await engine.start(target, signal);
  },
});
