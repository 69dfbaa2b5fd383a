import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ownImages } from "../../harness/engine/own-images.ts";
import { CONFIG_FILES } from "../../subjects/tikv/docker-config.ts";
import { textOf } from "../support/repository.ts";

interface Service {
  readonly image: string;
  readonly init?: boolean;
  readonly restart?: string;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
  readonly ulimits?: unknown;
  readonly entrypoint?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const compose = (path: string) =>
  parse(textOf(path), { merge: true }) as { readonly services: Readonly<Record<string, Service>>; networks?: unknown };

describe("the TiKV subject's compose file", () => {
  const { services } = compose("subjects/tikv/docker-compose.yaml");
  const nodes = Object.entries(services).filter(([name]) => /^(pd|tikv)\d$/.test(name));

  test("three PD, three TiKV and Prometheus; Grafana, the workload and load only when asked for", () => {
    const always = Object.entries(services).filter(([, { profiles = [] }]) => profiles.length === 0);
    expect(always.map(([name]) => name).toSorted()).toEqual("pd0 pd1 pd2 prometheus tikv0 tikv1 tikv2".split(" "));
    expect(services["grafana"]?.profiles).toEqual(["grafana"]);
    expect(services["workload"]?.profiles).toEqual(["workload"]);
    expect(services["load"]?.profiles).toEqual(["load"]);
  });

  test("images are pinned and can be replaced", () => {
    const images = Object.values(services).map(({ image }) => image);
    expect(images.filter((image) => !/^\$\{[A-Z]+_IMAGE:-[a-z/-]+:v?\d[\d.]*\}$/.test(image))).toEqual([]);
    expect(services["pd0"]?.image).toMatch(/:v8\.5\.\d+\}$/);
  });

  test("ports are open on this machine alone and can be moved, so that several run side by side", () => {
    const ports = Object.values(services).flatMap(({ ports = [] }) => ports);
    expect(ports.filter((port) => !/^127\.0\.0\.1:\$\{[A-Z0-9_]+-\d+\}:\d+$/.test(port))).toEqual([]);
    expect(new Set(ports.map((port) => /\$\{([A-Z0-9_]+)/.exec(port)?.[1])).size).toBe(ports.length);
  });

  test("what is mounted from the folder of settings is what an instance gets a copy of", () => {
    const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
      volumes.flatMap((volume) => /^\$\{CONFIG_DIR:-\.\/docker\}\/([\w.]+):/.exec(volume)?.[1] ?? []),
    );
    expect([...new Set(mounted)].toSorted()).toEqual(CONFIG_FILES.map((file) => basename(file)).toSorted());
  });

  test("load is the version that its image pins, and begins when the stores are there", () => {
    const pinned = /go-ycsb v([\d.]+)$/m.exec(textOf("docker/go-ycsb/go.mod"))?.[1];
    expect(services["load"]).toMatchObject({
      image: `\${YCSB_IMAGE:-go-ycsb:${pinned}}`,
      build: "../../docker/go-ycsb",
      depends_on: Object.fromEntries(
        ["tikv0", "tikv1", "tikv2"].map((store) => [store, { condition: "service_healthy" }]),
      ),
    });
    expect(ownImages.goYcsb.tag).toBe(`go-ycsb:${pinned}`);
  });

  test("Grafana begins with the dashboard, for whoever comes", () => {
    expect(services["grafana"]).toMatchObject({
      environment: {
        GF_AUTH_ANONYMOUS_ENABLED: "true",
        GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: "/etc/grafana/dashboards/tikv.json",
      },
      volumes: [
        "./docker/grafana/provisioning:/etc/grafana/provisioning:ro",
        "./docker/grafana/dashboards:/etc/grafana/dashboards:ro",
      ],
    });
  });

  test.each(nodes)("%s can crash, is asked how it is, has time to stop and files to open", (_, service) => {
    expect(service).toMatchObject({ init: true, stop_grace_period: "35s", ulimits: { nofile: {} } });
    expect(service.healthcheck?.test.slice(0, 2)).toEqual(["CMD", "curl"]);
    expect(service.entrypoint).toEqual([expect.stringMatching(/^\/(pd|tikv)-server$/)]);
  });
});

describe("compose mode's file", () => {
  const { services, networks } = compose("docker/agent/docker-compose.yml");
  const all = Object.entries(services) as [string, Service & Readonly<Record<string, unknown>>][];

  test("the engine's socket is in one service; the agent has a network namespace that somebody else guards", () => {
    const holders = all.filter(([, { volumes = [] }]) => volumes.some((volume) => volume.includes("docker.sock")));
    expect(holders.map(([name]) => name)).toEqual(["compose-agent"]);
    expect(services["agent"]).toMatchObject({
      network_mode: "service:agent-net",
      depends_on: { "agent-net": { condition: "service_healthy" }, "compose-agent": { condition: "service_healthy" } },
      cap_add: ["SETUID", "SETGID", "KILL"],
    });
    expect(networks).toMatchObject({ control: { internal: true }, model: { internal: true } });
  });

  test.each(all)(
    "%s: no rights, a read-only root, limits, a health check, only the panel's ports, on loopback",
    (name, service) => {
      expect(service).toMatchObject({
        restart: "${RESTART_POLICY:-on-failure}",
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        pids_limit: expect.any(Number) as number,
        mem_limit: expect.stringMatching(/^\d+[mg]$/) as string,
        healthcheck: {},
      });
      const { ports = [] } = service;
      expect(ports.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
      expect(ports.length > 0).toBe(name === "statuspanel");
    },
  );

  test("tokens: each plane's folder where it is used, and no other", () => {
    const tokens = all.map(([name, { volumes = [] }]) => [
      name,
      volumes.flatMap((volume) => /tokens\/(\w+)(:ro)?$/.exec(volume)?.[1] ?? []),
    ]);
    expect(Object.fromEntries(tokens)).toEqual({
      "compose-agent": ["status_panel", "compose_agent"],
      statuspanel: ["status_panel"],
      "model-proxy": [],
      "agent-net": [],
      agent: ["compose_agent"],
    });
  });
});

describe("legacy mode's file", () => {
  const { services, networks } = compose("docker/agent/docker-compose.legacy.yml");
  const all = Object.entries(services);

  test("somebody else's network for the agent; what is between it and the panel is compose mode's", () => {
    const own = compose("docker/agent/docker-compose.yml").networks as Readonly<Record<string, unknown>>;
    expect(networks).toEqual({
      default: { external: true, name: "${TIKV_NETWORK:-tikv_default}" },
      control: own["control"],
      page: own["page"],
    });
  });

  test("the socket is the agent's alone; both have the token of people's plane and no other", () => {
    const mounted = all.map(([name, { volumes = [] }]) => [
      name,
      volumes.flatMap(
        (volume) => /:(\/var\/run\/docker\.sock|\/run\/operator\/tokens\/\w+)(:ro)?$/.exec(volume)?.[1] ?? [],
      ),
    ]);
    expect(Object.fromEntries(mounted)).toEqual({
      agent: ["/run/operator/tokens/status_panel", "/var/run/docker.sock"],
      statuspanel: ["/run/operator/tokens/status_panel"],
    });
  });

  test.each(all)(
    "%s: the person's own uid, an init, no rights, a read-only root, limits, a health check",
    (_, service) => {
      expect(service).toMatchObject({
        init: true,
        user: "${HOST_UID:-1000}:${HOST_GID:-1000}",
        restart: "${RESTART_POLICY:-unless-stopped}",
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        pids_limit: 256,
        mem_limit: expect.stringMatching(/^\d+[mg]$/) as string,
        healthcheck: {},
      });
    },
  );

  test("the panel is told the same as in compose mode, but for where a compose-agent would be", () => {
    const panel = (file: string) => compose(`docker/agent/${file}`).services["statuspanel"];
    const { environment: here = {}, restart: _, ...rest } = panel("docker-compose.legacy.yml") ?? ({} as Service);
    const { environment: there = {}, restart: __, ...other } = panel("docker-compose.yml") ?? ({} as Service);
    expect(rest).toEqual(other);
    const names = (of: object) => Object.keys(of).filter((name) => /^(PANEL|VAULT|TOKEN|DEPLOYMENT)_/.test(name));
    expect(names(here).toSorted()).toEqual(names(there).toSorted());
    expect(here["COMPOSE_AGENT_ENABLED"]).toBe("false");
  });
});
