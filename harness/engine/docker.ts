import type Docker from "dockerode";
import type { Deps, Engine, OwnerEngine } from "../protocol.ts";

export interface DockerEngineOptions {
  /** Compose project that the engine is bound to; nothing else exists for it. */
  readonly project: string;
  /** Name of the instance's own network. */
  readonly network: string;
  /** Default: DOCKER_HOST, else the CLI's current context, else `/var/run/docker.sock`. */
  readonly docker?: Docker;
}

/** The owner's engine: sees the lab's own containers too, and may harm. */
export async function openDockerEngine(
  _options: DockerEngineOptions,
  _deps: Pick<Deps, "clock" | "ids" | "log">,
): Promise<OwnerEngine> {
  return Promise.reject(new Error("not implemented"));
}

/** The operator's engine: the lab's own containers do not exist for it. */
export async function openOperatorDockerEngine(
  _options: DockerEngineOptions,
  _deps: Pick<Deps, "clock" | "ids" | "log">,
): Promise<Engine> {
  return Promise.reject(new Error("not implemented"));
}
