import type { Component, Engine } from "../protocol.ts";

/** Why `target` cannot be harmed now, or null. Changes nothing. */
export async function preflightRunning(engine: Engine, target: Component, signal: AbortSignal): Promise<string | null> {
  const { status } = await engine.inspect(target, signal);
  return status === "running" ? null : `${target} is ${status}, not running`;
}
