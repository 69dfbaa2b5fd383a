import { z } from "zod";
import type { Engine, Tool } from "../../protocol.ts";
import { component, reason, said } from "./shared.ts";

const plain = z.strictObject({ component, reason });

export function containerStart(engine: Engine): Tool<typeof plain> {
  return {
    name: "container_start",
    description: "Start a container that has exited. Its data folder and settings stay as they are.",
    input: plain,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.start(input.component, signal);
      return said(`${input.component}: started`);
    },
  };
}

const graceful = z.strictObject({
  component,
  grace_seconds: z
    .int()
    .min(0)
    .max(120)
    .optional()
    .describe("time between SIGTERM and SIGKILL; default: the container's own"),
  reason,
});
const graceMs = (seconds: number | undefined) => (seconds === undefined ? {} : { graceMs: seconds * 1_000 });

export function containerStop(engine: Engine): Tool<typeof graceful> {
  return {
    name: "container_stop",
    description:
      "Stop a container: SIGTERM, then SIGKILL. It stays down until started; no restart policy brings it back.",
    input: graceful,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.stop(input.component, graceMs(input.grace_seconds), signal);
      return said(`${input.component}: stopped`);
    },
  };
}

export function containerRestart(engine: Engine): Tool<typeof graceful> {
  return {
    name: "container_restart",
    description: "Stop a container and start it again.",
    input: graceful,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.restart(input.component, graceMs(input.grace_seconds), signal);
      return said(`${input.component}: restarted`);
    },
  };
}

const killInput = z.strictObject({
  component,
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9]{2,8}$/, "a signal's name, e.g. SIGTERM")
    .default("SIGKILL"),
  reason,
});

export function containerKill(engine: Engine): Tool<typeof killInput> {
  return {
    name: "container_kill",
    description:
      "Send a signal to a container's main process, SIGKILL unless told otherwise. It stays down afterwards.",
    input: killInput,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.kill(input.component, { signalName: input.signal }, signal);
      return said(`${input.component}: ${input.signal} sent`);
    },
  };
}

export function containerPause(engine: Engine): Tool<typeof plain> {
  return {
    name: "container_pause",
    description: "Freeze every process of a container.",
    input: plain,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.pause(input.component, signal);
      return said(`${input.component}: paused`);
    },
  };
}

export function containerUnpause(engine: Engine): Tool<typeof plain> {
  return {
    name: "container_unpause",
    description: "Let a paused container run on.",
    input: plain,
    effect: () => "write",
    run: async (input, signal) => {
      await engine.unpause(input.component, signal);
      return said(`${input.component}: running`);
    },
  };
}
