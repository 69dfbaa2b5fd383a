import path from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { LINKS_FILE } from "../../harness/engine/process/paths.ts";
import type { NodeSpec } from "../../harness/engine/process/spec.ts";
import type { Component, ComponentInfo, Endpoints } from "../../harness/protocol.ts";
import { RULES_FILE } from "./alert-rules.ts";

const PD = ["pd0", "pd1", "pd2"] as const;
const TIKV = ["tikv0", "tikv1", "tikv2"] as const;

const HOST = "127.0.0.1";
/** Clients' metrics: a port of the instance too, so that Prometheus knows it before the workload runs. */
const CLIENT = "client";

/** By component, then by service. Names of services as `Endpoints` has them. */
export const portMapSchema = z.record(z.string(), z.record(z.string(), z.number()));
export type PortMap = z.output<typeof portMapSchema>;

/** Everything that is decided before the nodes of an embedded cluster start. */
export interface EmbeddedLayout {
  readonly stateDir: string;
  readonly ports: PortMap;
  readonly timeFactor: number;
}

const SERVICES: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(PD.map((name) => [name, ["client", "peer"]])),
  ...Object.fromEntries(TIKV.map((name) => [name, ["client", "status"]])),
  prometheus: ["http"],
  [CLIENT]: ["metrics"],
};

/** How many ports an embedded cluster needs. */
export const PORT_COUNT = Object.values(SERVICES).flat().length;

export const embeddedComponents: readonly ComponentInfo[] = [
  ...PD.map((name) => ({ component: name as string as Component, role: "pd" })),
  ...TIKV.map((name) => ({ component: name as string as Component, role: "tikv" })),
  { component: "prometheus" as Component, role: "metrics" },
];

/** Deals out ports in order; `given` (`"tikv1.status": 20180`, `"pd0": ...` = its client port) comes first. */
export function portMap(free: readonly number[], given: Readonly<Record<string, number>> = {}): PortMap {
  const pool = free.values();
  return Object.fromEntries(
    Object.entries(SERVICES).map(([component, services]) => [
      component,
      Object.fromEntries(
        services.map((service, index) => {
          const next = pool.next().value ?? 0;
          return [service, given[`${component}.${service}`] ?? (index === 0 ? given[component] : undefined) ?? next];
        }),
      ),
    ]),
  );
}

/** As in the shipped compose file: the runbooks' 10 s rates need two samples in every window. */
export function scrapeIntervalMs(timeFactor: number): number {
  return Math.max(1_000, Math.round(5 * timeFactor) * 1_000);
}

/** Host and network are the same here: every node listens on loopback. */
export function embeddedEndpoints({ ports }: Pick<EmbeddedLayout, "ports">, view: Endpoints["view"]): Endpoints {
  const at = (component: string, service: string) => addressIn(ports, component, service);
  const advertised = [...PD, ...TIKV].flatMap((name) => (SERVICES[name] ?? []).map((service) => at(name, service)));
  return {
    view,
    byComponent: {
      ...Object.fromEntries(
        PD.map((name) => [name, { client: `http://${at(name, "client")}`, peer: `http://${at(name, "peer")}` }]),
      ),
      ...Object.fromEntries(
        TIKV.map((name) => [name, { client: at(name, "client"), status: `http://${at(name, "status")}` }]),
      ),
      prometheus: { http: `http://${at("prometheus", "http")}` },
    },
    advertised: Object.fromEntries(advertised.map((address) => [address, address])),
    prometheusUrl: `http://${at("prometheus", "http")}`,
  };
}

export function clientAddress({ ports }: Pick<EmbeddedLayout, "ports">): string {
  return addressIn(ports, CLIENT, "metrics");
}

/** Three PD, three TiKV, Prometheus. Flags as in the shipped compose file; paths relative to each node's folder. */
export function embeddedNodes(layout: EmbeddedLayout): NodeSpec[] {
  return [
    ...PD.map((name) => node(layout, name, { role: "pd", image: "pingcap/pd:v8.5.7", argv: pdArgv(layout, name) })),
    ...TIKV.map((name) =>
      node(layout, name, { role: "tikv", image: "pingcap/tikv:v8.5.7", argv: tikvArgv(layout, name) }),
    ),
    {
      ...node(layout, "prometheus", {
        role: "metrics",
        image: "prom/prometheus:v3.5.0",
        argv: [
          program("subjects/common/prometheus/main.ts"),
          "--config.file=prometheus.yml",
          `--web.listen-address=${addressIn(layout.ports, "prometheus", "http")}`,
          "--storage.tsdb.path=data",
        ],
      }),
      // Started once there is something to scrape; else its first round, of every 15 s, would call all targets down.
      autoStart: false,
    },
  ];
}

/**
 * The configuration, in Prometheus's own format, with the rules beside it. Targets are shown under the names that
 * dashboards expect.
 */
export function prometheusConfig({ ports, timeFactor }: EmbeddedLayout): string {
  const target = (component: string, service: string, shown: string) => ({
    targets: [addressIn(ports, component, service)],
    labels: { instance: shown },
  });
  const interval = `${scrapeIntervalMs(timeFactor) / 1_000}s`;
  return stringify({
    global: { scrape_interval: interval, evaluation_interval: interval },
    rule_files: [RULES_FILE],
    scrape_configs: [
      { job_name: "pd", static_configs: PD.map((name) => target(name, "client", `${name}:2379`)) },
      { job_name: "tikv", static_configs: TIKV.map((name) => target(name, "status", `${name}:20180`)) },
      { job_name: "client", static_configs: [target(CLIENT, "metrics", "client:9300")] },
    ],
  });
}

/** In a store's folder. */
export const TIKV_CONFIG = "tikv.toml";

/**
 * What the stores are configured with, as in the shipped compose file sized for several on one laptop: of its disk each
 * takes at most the capacity, and a twentieth of that is the reserve below which it refuses writes.
 */
export const tikvConfig = `[storage]
reserve-space = "32MB"

[raftstore]
capacity = "1GB"

[rocksdb]
max-open-files = 256

[raftdb]
max-open-files = 256
`;

export function nodeFolder(stateDir: string, component: string): string {
  return path.join(stateDir, "nodes", component);
}

/**
 * What lives long in a node is small, and garbage should not outweigh it: a small young generation, a first full
 * collection at 20 MB, and later ones when the heap has grown by a third and not fourfold (V8's mode for machines that
 * are short of memory). What it comes to is in stand-in/tikv/README.md.
 */
export const SMALL_HEAP: readonly string[] = [
  "--max-semi-space-size=1",
  "--initial-old-space-size=20",
  "--memory-saver-mode",
  "--max-old-space-size=1024",
];
/** Prometheus keeps samples and may be asked for many at once: it grows as it likes, but collects early. */
const METRICS_HEAP: readonly string[] = ["--max-semi-space-size=2", "--initial-old-space-size=32"];
/**
 * For glibc's malloc (mallopt(3)): one arena instead of one for each of a dozen threads, and what is larger than 8 KiB
 * (above all V8's compilers, which take 17 MB once and then nothing) goes back to the system when it is freed, instead of
 * staying between what is still used.
 */
const SMALL_MALLOC = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "8192",
  MALLOC_TRIM_THRESHOLD_: "32768",
  MALLOC_TOP_PAD_: "16384",
};

function node(
  { stateDir, ports, timeFactor }: EmbeddedLayout,
  component: string,
  own: Pick<NodeSpec, "role" | "image" | "argv">,
): NodeSpec {
  return {
    component,
    ...own,
    argv: [...(own.role === "metrics" ? METRICS_HEAP : SMALL_HEAP), ...own.argv],
    env: {
      ADDRESSES: JSON.stringify(typedAddresses(ports, component)),
      NODE_NAME: component,
      TIME_FACTOR: String(timeFactor),
      LINK_RULES: path.join(stateDir, LINKS_FILE),
      NODE_MAP: JSON.stringify(nodeMap(ports)),
      ...SMALL_MALLOC,
    },
    cwd: nodeFolder(stateDir, component),
    restartPolicy: { name: "unless-stopped", max: 0 },
    stopGraceMs: 30_000,
    ports: ports[component] ?? {},
    programs: {
      df: [program("subjects/common/programs/df-main.ts")],
      ls: [program("subjects/common/programs/ls-main.ts")],
      ...(own.role === "pd" ? { "pd-ctl": [program("subjects/tikv/stand-in/ctl/pd-ctl-main.ts")] } : {}),
      ...(own.role === "tikv" ? { "tikv-ctl": [program("subjects/tikv/stand-in/ctl/tikv-ctl-main.ts")] } : {}),
    },
  };
}

/** What one would type inside a container -> where it is: every member by name, and itself on loopback. */
function typedAddresses(ports: PortMap, component: string): Record<string, string> {
  const members = PD.map((name) => [`${name}:2379`, addressIn(ports, name, "client")] as const);
  const own = members.find(([name]) => name.startsWith(`${component}:`))?.[1];
  const loopback = own === undefined ? [] : ["127.0.0.1:2379", "localhost:2379"].map((name) => [name, own] as const);
  return Object.fromEntries([...members, ...loopback, ...typedStores(ports, component)]);
}

/** tikv-ctl is told where a store's clients go, and asks its status port. */
function typedStores(ports: PortMap, component: string): (readonly [typed: string, address: string])[] {
  return TIKV.flatMap((name) => {
    const status = addressIn(ports, name, "status");
    const names = [`${name}:20180`, addressIn(ports, name, "client")];
    const own = name === component ? ["127.0.0.1:20180", "localhost:20180"] : [];
    return [...names, ...own].map((typed) => [typed, status] as const);
  });
}

function pdArgv({ ports }: EmbeddedLayout, name: string): string[] {
  const url = (member: string, service: string) => `http://${addressIn(ports, member, service)}`;
  return [
    program("subjects/tikv/stand-in/pd-main.ts"),
    `--name=${name}`,
    "--data-dir=data",
    `--client-urls=${url(name, "client")}`,
    `--advertise-client-urls=${url(name, "client")}`,
    `--peer-urls=${url(name, "peer")}`,
    `--advertise-peer-urls=${url(name, "peer")}`,
    `--initial-cluster=${PD.map((member) => `${member}=${url(member, "peer")}`).join(",")}`,
  ];
}

function tikvArgv({ ports }: EmbeddedLayout, name: string): string[] {
  const [client, status] = [addressIn(ports, name, "client"), addressIn(ports, name, "status")];
  return [
    program("subjects/tikv/stand-in/tikv-main.ts"),
    `--addr=${client}`,
    `--advertise-addr=${client}`,
    `--status-addr=${status}`,
    `--advertise-status-addr=${status}`,
    "--data-dir=data",
    `--config=${TIKV_CONFIG}`,
    `--pd-endpoints=${PD.map((member) => addressIn(ports, member, "client")).join(",")}`,
  ];
}

/** Advertised address -> component, for the link layer's rules. */
function nodeMap(ports: PortMap): Record<string, string> {
  return Object.fromEntries(
    [...PD, ...TIKV].flatMap((name) =>
      (SERVICES[name] ?? []).map((service) => [addressIn(ports, name, service), name as string]),
    ),
  );
}

function addressIn(ports: PortMap, component: string, service: string): string {
  const port = ports[component]?.[service];
  if (port === undefined) throw new RangeError(`no port for ${component}.${service}`);
  return `${HOST}:${port}`;
}

const SOURCES = path.resolve(import.meta.dirname, "../..");

function program(file: string): string {
  return path.join(SOURCES, file);
}
