import { openOperatorDockerEngine } from "../engine/docker.ts";
import { openProcessEngine } from "../engine/process/client.ts";
import type { Deps, Engine } from "../protocol.ts";

/**
 * The operator's engine: `unix:<socket>` of the process engine, or `docker:<project>` through the socket in this
 * container, on the network of that name (compose calls it `<project>_default`). Either way the lab's own containers do not exist for it.
 *
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do.
 */
export function openEngine(
  address: string,
  network: string | null,
  deps: Pick<Deps, "clock" | "ids" | "log">,
  signal: AbortSignal,
): Promise<Engine> {
  const rest = address.slice(address.indexOf(":") + 1);
  if (address.startsWith("unix:")) return openProcessEngine({ socketPath: rest }, signal);
  return openOperatorDockerEngine({ project: rest, network: network ?? `${rest}_default` }, deps, signal);
}
