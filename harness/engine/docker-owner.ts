import type { Component, OwnerEngine } from "../protocol.ts";
import { EngineError } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import { capacityOf, DockerEngine, type DockerEngineOptions, type EngineDeps } from "./docker.ts";
import { dockerClient } from "./docker-client.ts";
import { PacketFilter } from "./docker-cut.ts";
import { dockerExec } from "./docker-exec.ts";

/**
 * Kills every child of process 1 (the init process), so that the container ends by itself with 137 and its restart
 * policy applies, which it would not after `docker kill` (facts §0, trap 6). Exit code 3: there is none yet.
 */
const KILL_CHILDREN = [
  "/bin/sh",
  "-c",
  'none=3; for s in /proc/[0-9]*/stat; do read -r line 2>/dev/null <"$s" || continue; set -- ${line##*) }; ' +
    '[ "$2" = 1 ] && kill -KILL "${line%% *}" && none=0; done; exit $none',
];

/**
 * The owner's engine: sees the lab's own containers too, and may harm.
 *
 * @throws EngineError `engine-unreachable`, `engine-permission`: says what to do.
 */
export async function openDockerEngine(
  options: DockerEngineOptions,
  deps: EngineDeps,
  signal?: AbortSignal,
): Promise<OwnerEngine> {
  const docker = options.docker ?? (await dockerClient());
  return new OwnerDockerEngine(docker, options, await capacityOf(docker, signal), () => true, deps);
}

class OwnerDockerEngine extends DockerEngine implements OwnerEngine {
  readonly #filter = new PacketFilter(this.docker, this.deps);

  /** @throws EngineError `not-supported` where the server itself is process 1, which the kernel protects. */
  async crash(component: Component, signal: AbortSignal): Promise<void> {
    const before = await this.details(component, signal);
    if (before.HostConfig.Init !== true)
      throw new EngineError("not-supported", `${component} cannot be made to crash: its container has no init process`);
    const container = this.docker.getContainer(before.Id);
    const { clock } = this.deps;
    await this.call(`crashing ${component}`, signal, () =>
      waitFor(
        async () =>
          (await dockerExec(container, KILL_CHILDREN, { timeoutMs: 5_000, user: "0" }, this.deps, signal)).exitCode !==
          3,
        { clock, timeoutMs: 3_000, everyMs: 20, what: `${component} to have a process of its own`, signal },
      ),
    );
    await waitFor(
      async () => {
        const { State } = await this.details(component, signal);
        return State.Status !== "running" || State.StartedAt !== before.State.StartedAt;
      },
      { clock, timeoutMs: 5_000, everyMs: 20, what: `${component} to die`, signal },
    );
  }

  async cut(component: Component, { peers }: { readonly peers?: readonly Component[] }, signal: AbortSignal) {
    const target = await this.details(component, signal);
    const others = await Promise.all((peers ?? []).map((peer) => this.details(peer, signal)));
    const addresses = others.flatMap(({ NetworkSettings }) => {
      const address = NetworkSettings.Networks[this.network]?.IPAddress ?? "";
      return address === "" ? [] : [address];
    });
    await this.call(`cutting off ${component}`, signal, () =>
      this.#filter.cut(target.Id, peers === undefined ? null : addresses, signal),
    );
  }

  async mend(component: Component, signal: AbortSignal): Promise<void> {
    const { Id, State } = await this.details(component, signal);
    // The rules live in the container's network namespace and went with it.
    if (State.Status !== "running" && State.Status !== "paused") return;
    await this.call(`mending ${component}`, signal, () => this.#filter.mend(Id, signal));
  }
}
