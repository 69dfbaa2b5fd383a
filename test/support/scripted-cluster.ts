import type { Component, ContainerState, Endpoints } from "../../harness/protocol.ts";
import type { Clock } from "../../harness/base/clock.ts";
import { defaultEndpoints } from "../../subjects/tikv/kit/default-endpoints.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

const STORES = ["tikv0", "tikv1", "tikv2"];
const MEMBERS = ["pd0", "pd1", "pd2"];
export const COMPONENTS = [...MEMBERS, ...STORES, "prometheus"];

/** Kernel-level words of an address that nobody answers at. */
const refused = () =>
  new TypeError("fetch failed", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });

const RULES = {
  name: "targets",
  file: "/etc/prometheus/tikv.rules.yml",
  interval: 5,
  rules: [
    {
      type: "alerting",
      name: "TargetDown",
      query: 'up{job=~"pd|tikv"} == 0',
      duration: 60,
      labels: { severity: "critical" },
      annotations: { summary: "a target does not answer" },
      alerts: [],
      state: "inactive",
      health: "ok",
      evaluationTime: 0.001,
      lastEvaluation: "2026-01-01T00:00:00Z",
    },
  ],
};
const targetDown = (name: string) => ({
  labels: { alertname: "TargetDown", severity: "critical", job: "tikv", instance: `${name}:20180` },
  annotations: { summary: "a target does not answer" },
  state: "firing",
  activeAt: "2026-01-01T00:00:00Z",
  value: "0e+00",
});

/**
 * A cluster as its operator sees it: containers of a scripted engine, and HTTP answers in the shapes of tikv-facts that
 * follow from the containers' states. A store counts as Up while it runs, is on the network and is not `deaf`.
 */
export class ScriptedCluster {
  readonly engine: ScriptedEngine;
  readonly endpoints: Endpoints = defaultEndpoints(COMPONENTS, "http://prometheus:9090");
  readonly pdUrls = MEMBERS.map((name) => `http://${name}:2379`);
  /** Stores that run and do not answer. */
  readonly deaf = new Set<string>();
  /** Share of client operations that succeed; null = what follows from the stores. */
  clientOk: number | null = null;
  /** Whether Prometheus has rules; one, which raises an alert for every store that does not answer. */
  alertRules = true;
  readonly requests: string[] = [];

  constructor(clock: Clock) {
    this.engine = new ScriptedEngine(
      clock,
      COMPONENTS.map((component) => ({
        component,
        image: component === "prometheus" ? "prom/prometheus:v2.54.1" : `pingcap/${component.replace(/\d/, "")}:v8.5.5`,
        prints: [{ stream: "stderr", text: '[INFO] [server.rs:1] ["TiKV is ready to serve"]' }],
        exec: async ([program = ""]) => ({ exitCode: 0, stdout: `${program} ran\n`, stderr: "" }),
      })),
    );
  }

  readonly fetch = (async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    this.requests.push(`${method} ${url.host}${url.pathname}${url.search}`);
    const state = await this.#state(url.hostname);
    init?.signal?.throwIfAborted();
    if (state === null || state.status !== "running" || state.networks.length === 0) throw refused();
    if (url.hostname.startsWith("pd")) return this.#pd(method, url);
    if (url.hostname.startsWith("tikv")) {
      if (this.deaf.has(url.hostname)) throw refused();
      return new Response(url.pathname === "/status" ? "" : "{}", { status: 200 });
    }
    return this.#prometheus(url);
  }) as typeof globalThis.fetch;

  async #state(component: string): Promise<ContainerState | null> {
    const all = await this.engine.list(new AbortController().signal);
    return all.find((state) => state.component === (component as Component)) ?? null;
  }

  async #isUp(component: string): Promise<boolean> {
    const state = await this.#state(component);
    return state?.status === "running" && state.networks.length > 0 && !this.deaf.has(component);
  }

  async #pd(method: string, url: URL): Promise<Response> {
    if (method !== "GET") return Response.json("done");
    const member = (name: string, index: number) => ({
      name,
      member_id: index + 1,
      client_urls: [`http://${name}:2379`],
    });
    const path = url.pathname.replace("/pd/api/v1", "");
    if (url.pathname === "/health") return Response.json({ health: "true", reason: "" });
    if (path === "/leader") return Response.json(member("pd0", 0));
    if (path === "/stores") {
      const stores = await Promise.all(
        STORES.map(async (name, index) => ({
          store: {
            id: index + 4,
            address: `${name}:20160`,
            state_name: (await this.#isUp(name)) ? "Up" : "Disconnected",
          },
          status: { leader_count: 4, region_count: 12 },
        })),
      );
      return Response.json({ count: stores.length, stores });
    }
    if (path === "/health")
      return Response.json(
        await Promise.all(MEMBERS.map(async (name, i) => ({ ...member(name, i), health: await this.#isUp(name) }))),
      );
    return Response.json({ path: "answered" });
  }

  async #prometheus(url: URL): Promise<Response> {
    const success = (data: unknown) => Response.json({ status: "success", data });
    if (url.pathname.endsWith("/targets"))
      return success({
        activeTargets: STORES.map((name) => ({
          labels: { job: "tikv", instance: `${name}:20180` },
          scrapeUrl: `http://${name}:20180/metrics`,
          health: "up",
          lastError: "",
          lastScrape: "2026-01-01T00:00:00Z",
        })),
      });
    if (url.pathname.endsWith("/rules")) return success({ groups: this.alertRules ? [RULES] : [] });
    if (url.pathname.endsWith("/alerts")) {
      const gone: string[] = [];
      for (const name of STORES) if (!(await this.#isUp(name))) gone.push(name);
      return success({ alerts: this.alertRules ? gone.map(targetDown) : [] });
    }
    if (url.pathname.endsWith("/values")) return success(["up", "client_requests_total"]);
    const up = (await Promise.all(STORES.map((name) => this.#isUp(name)))).filter(Boolean).length;
    const ok = this.clientOk ?? up / STORES.length;
    const result = ok > 0.99 ? [{ metric: {}, value: [1_760_000_000, String(ok)] }] : [];
    return success({ resultType: "vector", result });
  }
}
