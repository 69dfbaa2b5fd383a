import { openOperatorEngine } from "../engine/open-operator-engine.ts";
import type { Deps, Engine } from "../protocol.ts";

/**
 * The operator's engine: `unix:<socket>` or `docker:<project>`, as `openOperatorEngine`.
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do.
 */
export async function openEngine(
  address: string,
  network: string | null,
  deps: Pick<Deps, "clock" | "ids" | "log">,
  signal: AbortSignal,
): Promise<Engine> {
  return await openOperatorEngine(address, network, deps, signal);
}
