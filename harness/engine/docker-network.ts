import type Docker from "dockerode";
import type { Component } from "../protocol.ts";
import type { Inspection } from "./docker-inspect.ts";

type Endpoint = Inspection["NetworkSettings"]["Networks"][string];

/**
 * Names under which a container is known in a network, without the one that Docker adds from its id. Compose's own is
 * the service's; it comes first and is never missing.
 */
export function aliasesOf(endpoint: Endpoint, id: string, component: Component): string[] {
  const others = (endpoint.Aliases ?? []).filter((alias) => alias !== component && !id.startsWith(alias));
  return [component, ...others];
}

/**
 * Attachment to one network. `docker network connect` forgets every alias that compose gave, and with it the name by
 * which peers find the container (facts §0, trap 8), so aliases are remembered when a component is cut off here; one
 * that somebody else cut off gets its service name.
 */
export class NetworkLinks {
  readonly #network: Docker.Network;
  readonly #name: string;
  readonly #aliases = new Map<Component, readonly string[]>();

  constructor(docker: Docker, name: string) {
    this.#network = docker.getNetwork(name);
    this.#name = name;
  }

  async disconnect(component: Component, found: Inspection): Promise<void> {
    const endpoint = found.NetworkSettings.Networks[this.#name];
    if (endpoint === undefined) return;
    this.#aliases.set(component, aliasesOf(endpoint, found.Id, component));
    await this.#network.disconnect({ Container: found.Id });
  }

  async connect(component: Component, found: Inspection, aliases: readonly string[] | undefined): Promise<void> {
    if (found.NetworkSettings.Networks[this.#name] !== undefined) return;
    const names = aliases ?? this.#aliases.get(component) ?? [component];
    await this.#network.connect({ Container: found.Id, EndpointConfig: { Aliases: [...names] } });
  }
}
