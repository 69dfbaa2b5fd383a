import { ConfigError } from "../base/errors.ts";
import type { Engine } from "../protocol.ts";
import type { Capacity } from "./docker-inspect.ts";

const POLICY = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/;

/**
 * The body of `POST /containers/{id}/update`. Docker cannot take a limit away, only raise it, so "none" is all that
 * the machine has. Swap is never allowed on top of a memory limit: a limit that swaps is no limit.
 *
 * @throws ConfigError for a restart policy that Docker does not know.
 */
export function limitUpdate(limits: Parameters<Engine["update"]>[1], capacity: Capacity): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  if (limits.cpus !== undefined) body["NanoCpus"] = Math.round((limits.cpus ?? capacity.cpus) * 1e9);
  if (limits.memoryBytes !== undefined) {
    body["Memory"] = limits.memoryBytes ?? capacity.memoryBytes;
    body["MemorySwap"] = body["Memory"];
  }
  if (limits.restartPolicy !== undefined) {
    const match = POLICY.exec(limits.restartPolicy);
    if (match === null)
      throw new ConfigError(
        `restart policy "${limits.restartPolicy}": use no, always, unless-stopped, on-failure or on-failure:<times>`,
      );
    body["RestartPolicy"] = { Name: match[1], MaximumRetryCount: Number(match[2] ?? 0) };
  }
  return body;
}
