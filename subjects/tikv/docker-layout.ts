import path from "node:path";
import type { Component, ComponentInfo, Endpoints } from "../../harness/protocol.ts";

export const COMPOSE_FILE = path.join(import.meta.dirname, "docker-compose.yaml");

/** As `docker/prometheus.yml` says. */
export const SCRAPE_INTERVAL_MS = 5_000;

export const PD_CLIENT = 2379;
export const PD_PEER = 2380;
export const TIKV_CLIENT = 20_160;
export const TIKV_STATUS = 20_180;
export const PROMETHEUS_HTTP = 9_090;

const PD = ["pd0", "pd1", "pd2"] as const;
const TIKV = ["tikv0", "tikv1", "tikv2"] as const;

/** The shipped compose file's variable for each host port. */
export const PORT_VARIABLES = [
  ...PD.map((name) => `${name.toUpperCase()}_PORT`),
  ...TIKV.flatMap((name) => [`${name.toUpperCase()}_PORT`, `${name.toUpperCase()}_STATUS_PORT`]),
  "PROMETHEUS_PORT",
];

/** A component as it is known inside its network and as the host reaches it. */
export interface PlacedComponent extends ComponentInfo {
  /** By service: the name that is advertised (`tikv0:20160`) and the address to dial from the host, if there is one. */
  readonly services: Readonly<Record<string, { readonly inside: string; readonly outside: string | null }>>;
}

/** Components of the shipped compose file; `ports` by variable. */
export function shippedComponents(ports: Readonly<Record<string, number>>): PlacedComponent[] {
  const placed = (
    name: string,
    role: string,
    services: Readonly<Record<string, readonly [number, string | null]>>,
  ) => ({
    component: name as Component,
    role,
    services: Object.fromEntries(
      Object.entries(services).map(([service, [port, variable]]) => {
        const inside = `${name}:${port}`;
        return [service, { inside, outside: variable === null ? null : `127.0.0.1:${ports[variable]}` }];
      }),
    ),
  });
  const upper = (name: string) => name.toUpperCase();
  return [
    ...PD.map((name) => placed(name, "pd", { client: [PD_CLIENT, `${upper(name)}_PORT`], peer: [PD_PEER, null] })),
    ...TIKV.map((name) =>
      placed(name, "tikv", {
        client: [TIKV_CLIENT, `${upper(name)}_PORT`],
        status: [TIKV_STATUS, `${upper(name)}_STATUS_PORT`],
      }),
    ),
    placed("prometheus", "metrics", { http: [PROMETHEUS_HTTP, "PROMETHEUS_PORT"] }),
  ];
}

/** The only address book there is, seen from the host or from inside the network. */
export function endpointsOf(
  components: readonly PlacedComponent[],
  prometheusUrl: string | null,
  view: Endpoints["view"],
): Endpoints {
  const seen = components.map(({ component, role, services }) => {
    const reached = Object.entries(services).flatMap(([service, { inside, outside }]) => {
      const address = view === "host" ? outside : inside;
      return address === null ? [] : [{ service, inside, address }];
    });
    return { component, role, reached };
  });
  const shown = (role: string, service: string, address: string) =>
    role === "tikv" && service === "client" ? address : `http://${address}`;
  const metrics = seen.find(({ role }) => role === "metrics")?.reached[0];
  return {
    view,
    byComponent: Object.fromEntries(
      seen.map(({ component, role, reached }) => [
        component,
        Object.fromEntries(reached.map(({ service, address }) => [service, shown(role, service, address)])),
      ]),
    ),
    advertised: Object.fromEntries(
      seen.flatMap(({ reached }) => reached.map(({ inside, address }) => [inside, address])),
    ),
    prometheusUrl: prometheusUrl ?? (metrics === undefined ? null : `http://${metrics.address}`),
  };
}
