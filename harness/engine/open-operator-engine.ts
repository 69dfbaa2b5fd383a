import type { Deps, Engine } from "../protocol.ts";

/**
 * The engine of whoever works on one instance: `unix:<socket>` of the process engine, or `docker:<project>` through the
 * socket of this machine or container, on the network of that name (compose calls it `<project>_default`). Either way
 * containers of ours do not exist for it.
 *
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do.
 */
export async function openOperatorEngine(
  address: string,
  network: string | null,
  deps: Pick<Deps, "clock" | "ids" | "log">,
  signal: AbortSignal,
): Promise<Engine> {
  const rest = address.slice(address.indexOf(":") + 1);
  // Only the one that is used is loaded: the agent starts while an incident waits.
  if (address.startsWith("unix:")) {
    const { openProcessEngine } = await import("./process/client.ts");
    return await openProcessEngine({ socketPath: rest }, signal);
  }
  const { openOperatorDockerEngine } = await import("./docker.ts");
  return await openOperatorDockerEngine({ project: rest, network: network ?? `${rest}_default` }, deps, signal);
}
