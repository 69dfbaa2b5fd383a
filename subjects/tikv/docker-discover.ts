import type Docker from "dockerode";
import { HarnessError } from "../../harness/base/errors.ts";
import { inspectionSchema, type Inspection } from "../../harness/engine/docker-inspect.ts";
import { COMPOSE_PROJECT, COMPOSE_SERVICE, PART_LABEL } from "../../harness/engine/labels.ts";
import type { AttachOptions, Component, Deps } from "../../harness/protocol.ts";
import { PD_CLIENT, PROMETHEUS_HTTP, type PlacedComponent } from "./docker-layout.ts";
import { hostOf } from "./kit/clients/address-book.ts";
import { pdClient } from "./kit/clients/pd.ts";

export interface Discovered {
  readonly network: string;
  readonly components: readonly PlacedComponent[];
  readonly inspections: readonly Inspection[];
  /** As its stores report it. */
  readonly version: string;
}

/**
 * Finds out what somebody's running cluster is made of: PD's members and stores say which containers play which role,
 * whatever their services are called.
 *
 * @throws HarnessError `not-found` naming what is missing.
 */
export async function discoverCluster(
  docker: Docker,
  options: AttachOptions,
  deps: Pick<Deps, "clock" | "fetch">,
  signal: AbortSignal,
): Promise<Discovered> {
  const inspections = await containersOf(docker, options.project, signal);
  const pdUrls = options.pdUrls ?? pdCandidates(inspections);
  const pd = pdClient({ members: Object.fromEntries(pdUrls.map((url) => [url, url])) }, deps);
  const membership = await pd.membership(signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new HarnessError(
      "not-found",
      `no PD answers in the project ${options.project} (asked ${pdUrls.join(", ")}): name its URLs with --pd`,
      { cause },
    );
  });
  const stores = await pd.stores(signal);
  const place = (address: string) => placeOf(address, inspections, options.project);
  const network = networkOf(membership.members[0]?.clientUrls[0] ?? "", inspections);
  const components: PlacedComponent[] = [
    ...membership.members.map(({ clientUrls, peerUrls }) => ({
      component: place(clientUrls[0] ?? "").component,
      role: "pd",
      services: servicesOf({ client: clientUrls[0], peer: peerUrls[0] }, place),
    })),
    ...stores.map(({ address, statusAddress }) => ({
      component: place(address).component,
      role: "tikv",
      services: servicesOf({ client: address, status: statusAddress }, place),
    })),
    ...(options.prometheusUrl === undefined ? metricsOf(inspections) : []),
  ];
  return { network, components, inspections, version: stores[0]?.version ?? "unknown version" };
}

async function containersOf(docker: Docker, project: string, signal: AbortSignal): Promise<Inspection[]> {
  const filters = { label: [`${COMPOSE_PROJECT}=${project}`] };
  const found = await docker.listContainers({ filters, abortSignal: signal });
  if (found.length === 0)
    throw new HarnessError("not-found", `no compose project ${project} runs here; \`docker compose ls\` lists them`);
  const theirs = found.filter(({ Labels }) => Labels[PART_LABEL] === undefined);
  return Promise.all(
    theirs.map(async ({ Id }) =>
      inspectionSchema.parse(await docker.getContainer(Id).inspect({ abortSignal: signal })),
    ),
  );
}

type Place = (address: string) => { readonly component: Component; readonly outside: string };

function servicesOf(
  addresses: Readonly<Record<string, string | null | undefined>>,
  place: Place,
): PlacedComponent["services"] {
  const known = Object.entries(addresses).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
  return Object.fromEntries(
    known.map(([service, address]) => [
      service,
      { inside: address.replace(/^\w+:\/\//, ""), outside: place(address).outside },
    ]),
  );
}

/** The container behind an advertised address, by the names and addresses that it has in its networks. */
function placeOf(address: string, inspections: readonly Inspection[], project: string): ReturnType<Place> {
  const host = hostOf(address);
  const found = inspections.find((one) => namesOf(one).includes(host));
  if (found === undefined)
    throw new HarnessError("not-found", `PD names ${address}, and no container of ${project} has that name`);
  const port = Number(/:(\d+)/.exec(address.replace(/^\w+:\/\//, ""))?.[1] ?? PD_CLIENT);
  return { component: componentOf(found), outside: outsideOf(found, port) };
}

function namesOf({ Name, Config, NetworkSettings }: Inspection): string[] {
  const endpoints = Object.values(NetworkSettings.Networks);
  return [
    Name.replace(/^\//, ""),
    Config.Labels[COMPOSE_SERVICE] ?? "",
    ...endpoints.flatMap(({ Aliases, IPAddress }) => [...(Aliases ?? []), IPAddress ?? ""]),
  ].filter((name) => name !== "");
}

/** The published port, else the container's own address, which the host reaches only on Linux. */
function outsideOf({ NetworkSettings }: Inspection, port: number): string {
  const [published] = NetworkSettings.Ports[`${port}/tcp`] ?? [];
  if (published !== undefined) {
    const host = published.HostIp === "" || published.HostIp === "0.0.0.0" ? "127.0.0.1" : published.HostIp;
    return `${host}:${published.HostPort}`;
  }
  const address = Object.values(NetworkSettings.Networks).find(({ IPAddress }) => (IPAddress ?? "") !== "")?.IPAddress;
  return `${address ?? "127.0.0.1"}:${port}`;
}

function pdCandidates(inspections: readonly Inspection[]): string[] {
  const likely = inspections.filter(
    ({ NetworkSettings, Config }) =>
      `${PD_CLIENT}/tcp` in NetworkSettings.Ports || /(^|\/)pd(:|@|$)/.test(Config.Image),
  );
  return likely.map((one) => `http://${outsideOf(one, PD_CLIENT)}`);
}

function metricsOf(inspections: readonly Inspection[]): PlacedComponent[] {
  const found = inspections.find(({ NetworkSettings }) => `${PROMETHEUS_HTTP}/tcp` in NetworkSettings.Ports);
  if (found === undefined) return [];
  const component = componentOf(found);
  const services = {
    http: { inside: `${component}:${PROMETHEUS_HTTP}`, outside: outsideOf(found, PROMETHEUS_HTTP) },
  };
  return [{ component, role: "metrics", services }];
}

function networkOf(address: string, inspections: readonly Inspection[]): string {
  const found = inspections.find((one) => namesOf(one).includes(hostOf(address))) ?? inspections[0];
  return Object.keys(found?.NetworkSettings.Networks ?? {})[0] ?? "bridge";
}

const componentOf = ({ Config }: Inspection): Component => (Config.Labels[COMPOSE_SERVICE] ?? "") as Component;
