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
  /** By service: the name that is advertised (`tikv0:20160`) and the address to dial from the host. */
  readonly services: Readonly<Record<string, { readonly inside: string; readonly outside: string }>>;
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
        return [service, { inside, outside: variable === null ? inside : `127.0.0.1:${ports[variable]}` }];
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
  const side = view === "host" ? "outside" : "inside";
  const address = (role: string, service: string, at: string) =>
    role === "tikv" && service === "client" ? at : `http://${at}`;
  const services = components.flatMap((info) => Object.values(info.services));
  const metrics = components.find(({ role }) => role === "metrics")?.services["http"];
  return {
    view,
    byComponent: Object.fromEntries(
      components.map((info) => [
        info.component,
        Object.fromEntries(
          Object.entries(info.services).map(([service, at]) => [service, address(info.role, service, at[side])]),
        ),
      ]),
    ),
    advertised: Object.fromEntries(services.map(({ inside, outside }) => [inside, view === "host" ? outside : inside])),
    prometheusUrl: prometheusUrl ?? (metrics === undefined ? null : `http://${metrics[side]}`),
  };
}
