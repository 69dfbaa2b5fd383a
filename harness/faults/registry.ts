import { ConfigError } from "../base/errors.ts";
import type { Deps, Fault, FaultFactory, FaultSpec, OwnerEngine } from "../protocol.ts";
import { crashLoop } from "./crash-loop.ts";
import { hang } from "./hang.ts";
import { isolate } from "./isolate.ts";
import { kill } from "./kill.ts";

const factories: Readonly<Record<string, FaultFactory>> = {
  kill,
  hang,
  isolate,
  "crash-loop": crashLoop,
};

export const faultKinds: readonly string[] = Object.keys(factories);

/** @throws ConfigError for a kind that does not exist, naming those that do. */
export function makeFault(spec: FaultSpec, engine: OwnerEngine, deps: Deps): Fault {
  const factory = factories[spec.kind];
  if (factory === undefined)
    throw new ConfigError(`unknown fault kind "${spec.kind}"; there are: ${faultKinds.join(", ")}`);
  return factory(spec, engine, deps);
}
