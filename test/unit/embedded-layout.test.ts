import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  PORT_COUNT,
  SMALL_HEAP,
  embeddedEndpoints,
  embeddedNodes,
  portMap,
  prometheusConfig,
  scrapeIntervalMs,
} from "../../subjects/tikv/embedded.ts";

const ports = portMap(Array.from({ length: PORT_COUNT }, (_, index) => 21_001 + index));
const layout = { stateDir: "/state/x", ports, timeFactor: 0.2 };

describe("the embedded cluster's layout", () => {
  test("every service has a port of its own", () => {
    const all = Object.values(ports).flatMap((services) => Object.values(services));
    expect(new Set(all).size).toBe(PORT_COUNT);
  });

  test("ports that were asked for come first", () => {
    const given = portMap([21_001, 21_002], { "tikv1.status": 20_180, pd0: 22_379 });
    expect(given["tikv1"]).toMatchObject({ status: 20_180 });
    expect(given["pd0"]).toEqual({ client: 22_379, peer: 21_002 });
  });

  test("flags are those of the real programs, with relative paths and mutual addresses", () => {
    const [pd0, , , tikv0] = embeddedNodes(layout);
    expect(pd0?.argv.slice(SMALL_HEAP.length + 1)).toEqual([
      "--name=pd0",
      "--data-dir=data",
      "--client-urls=http://127.0.0.1:21001",
      "--advertise-client-urls=http://127.0.0.1:21001",
      "--peer-urls=http://127.0.0.1:21002",
      "--advertise-peer-urls=http://127.0.0.1:21002",
      "--initial-cluster=pd0=http://127.0.0.1:21002,pd1=http://127.0.0.1:21004,pd2=http://127.0.0.1:21006",
    ]);
    expect(tikv0?.argv.slice(SMALL_HEAP.length + 1)).toEqual([
      "--addr=127.0.0.1:21007",
      "--advertise-addr=127.0.0.1:21007",
      "--status-addr=127.0.0.1:21008",
      "--advertise-status-addr=127.0.0.1:21008",
      "--data-dir=data",
      "--config=tikv.toml",
      "--pd-endpoints=127.0.0.1:21001,127.0.0.1:21003,127.0.0.1:21005",
    ]);
  });

  test("nodes know each other by what they advertise", () => {
    const map = JSON.parse(embeddedNodes(layout)[0]?.env["NODE_MAP"] ?? "{}") as Record<string, string>;
    expect(map).toMatchObject({ "127.0.0.1:21001": "pd0", "127.0.0.1:21002": "pd0", "127.0.0.1:21008": "tikv0" });
  });

  test("the address book covers every advertised address", () => {
    const { advertised, byComponent, prometheusUrl } = embeddedEndpoints(layout, "host");
    expect(advertised["127.0.0.1:21007"]).toBe("127.0.0.1:21007");
    expect(byComponent["tikv0"]).toEqual({ client: "127.0.0.1:21007", status: "http://127.0.0.1:21008" });
    expect(prometheusUrl).toBe("http://127.0.0.1:21013");
  });

  test("Prometheus scrapes under the names of the real cluster, faster with the time factor, never below 1 s", () => {
    const config = parse(prometheusConfig(layout)) as {
      global: { scrape_interval: string };
      scrape_configs: { job_name: string; static_configs: { targets: string[]; labels: { instance: string } }[] }[];
    };
    expect(config.global.scrape_interval).toBe("1s");
    expect(config.scrape_configs.map(({ job_name }) => job_name)).toEqual(["pd", "tikv", "client"]);
    expect(config.scrape_configs[1]?.static_configs[1]).toEqual({
      targets: ["127.0.0.1:21010"],
      labels: { instance: "tikv1:20180" },
    });
    expect(scrapeIntervalMs(0.01)).toBe(1_000);
    expect(scrapeIntervalMs(1)).toBe(5_000);
  });
});
