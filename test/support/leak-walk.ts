import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { createCaller } from "../../harness/agent/caller.ts";
import { openEngine } from "../../harness/agent/open-engine.ts";
import { buildTools } from "../../harness/agent/tools/index.ts";
import { maskerOf, Transcript } from "../../harness/agent/transcript.ts";
import type { SubjectInstance } from "../../harness/protocol.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";

/** Words that would tell an operator that it is being tried (design.md §7), and the scenarios' names. */
export const FORBIDDEN =
  /\b(lab|chaos|fault|scenario|trial|inject|nemesis|seed|stand-in|store-kill|store-hang|store-isolated|pd-leader-kill|store-crash-autorestart|false-alarm|quiet)\b/i;
/** Names of ours. That our images run on Node can be seen from inside them; what they are for cannot. */
const OURS = /agent-lab|strip-types|tikv\/stand-in|harness\//i;

export type ToolCall = readonly [tool: string, input: Record<string, unknown>];

const PD_PATHS = [
  "/stores",
  "/members",
  "/health",
  "/leader",
  "/status",
  "/version",
  "/config",
  "/cluster",
  "/regions",
  "/schedulers",
  "/operators",
  "/metrics",
  "/readyz",
  "/trend",
  "/stats/region",
  "/hotspot/stores",
  "/debug/pprof/cmdline",
  "/unknown",
];
const STATUS_PATHS = ["/status", "/config", "/metrics", "/engine_type", "/debug/pprof/cmdline", "/unknown"];
/** Finds nothing where our images are clean; third parties' packages use the commoner words too. */
const SEARCH = [
  "grep",
  "-rliE",
  "chaos|nemesis|stand-in|agent-lab|false-alarm",
  "--exclude=sqlite3.c",
  "/opt",
] as const;
/** What a curious operator runs in a container. Engines refuse what they do not have. */
const CURIOUS: readonly (readonly string[])[] = [
  ["ls", "-la"],
  ["ls", "-la", "/"],
  ["ls", "-la", "../.."],
  ["df", "-h"],
  ["cat", "/proc/1/cmdline"],
  ["cat", "/proc/1/environ"],
  ["cat", "/pd-server", "/tikv-server"],
  ["env"],
  ["ps", "aux"],
  ["mount"],
  ["pd-ctl", "store"],
  SEARCH,
];

function callsFor(components: readonly string[]): readonly ToolCall[] {
  const store = components.find((name) => name.startsWith("tikv")) ?? "tikv0";
  const member = components.find((name) => name.startsWith("pd")) ?? "pd0";
  return [
    ["container_list", {}],
    ...components.flatMap((component): ToolCall[] => [
      ["container_inspect", { component }],
      ["container_logs", { component, tail: 2_000 }],
      ["container_stats", { component }],
      ...CURIOUS.map((argv): ToolCall => ["container_exec", { component, argv }]),
    ]),
    ...PD_PATHS.map((path): ToolCall => ["pd_request", { method: "GET", path }]),
    ["pd_request", { method: "POST", path: "/nothing", body: { a: 1 } }],
    ...STATUS_PATHS.map((path): ToolCall => ["tikv_status", { store, method: "GET", path }]),
    ["prometheus_targets", {}],
    ["prometheus_labels", {}],
    ["prometheus_labels", { label: "job" }],
    ["prometheus_labels", { label: "instance" }],
    ["prometheus_query", { query: '{__name__=~".+"}' }],
    ["prometheus_query", { query: "no(such" }],
    ["prometheus_query_range", { query: "up" }],
    // What acts: right, wrong, and on what is not there.
    ["container_pause", { component: store }],
    ["container_exec", { component: store, argv: ["df"] }],
    ["container_unpause", { component: store }],
    ["network_disconnect", { component: store }],
    ["network_connect", { component: store }],
    ["container_update", { component: store, restart_policy: "unless-stopped" }],
    ["container_update", { component: store, cpus: 1 }],
    ["container_kill", { component: member }],
    ["pd_request", { method: "GET", path: "/health", member }],
    ["container_logs", { component: member }],
    ["container_start", { component: member }],
    ["container_stop", { component: store, grace_seconds: 5 }],
    ["container_restart", { component: store }],
    ["container_recreate", { component: store, image: "no/such:image" }],
    ["container_recreate", { component: store }],
    ["wait", { seconds: 0.1 }],
    ["hypothesis", { cause: "none", components: [], confidence: 0.1 }],
    ["hypothesis", { cause: "unheard-of", components: ["nobody"], confidence: 0.1 }],
    ["submit_diagnosis", { cause: "none" }],
    ...["client", "workload", "agent", "supervisor", "../pd0", "operator-agent"].flatMap((component): ToolCall[] => [
      ["container_inspect", { component }],
      ["container_logs", { component }],
      ["container_exec", { component, argv: ["ls"] }],
      ["network_connect", { component }],
    ]),
  ];
}

export interface Answer {
  readonly call: ToolCall;
  readonly text: string;
  readonly isError: boolean;
}

/** Every tool on a running cluster of ours, from the operator's side, as its program sees it at `host`. */
export async function walkTools(instance: SubjectInstance, signal: AbortSignal): Promise<readonly Answer[]> {
  const deps = { clock: systemClock, ids: randomIds, log: silentLog, fetch: globalThis.fetch };
  const { ENGINE = "", NETWORK = null, PD_URLS = "" } = instance.operatorEnvironment("host");
  await using engine = await openEngine(ENGINE, NETWORK, deps, signal);
  const endpoints = instance.endpoints("host");
  const components = instance.components.map(({ component }) => component as string);
  const tools = buildTools(
    {
      engine,
      kit: tikvKit({ endpoints, pdUrls: PD_URLS.split(",") }, deps),
      prometheus: endpoints.prometheusUrl === null ? null : prometheusClient({ url: endpoints.prometheusUrl }, deps),
      clock: systemClock,
      components,
      findings: { submitted: null },
    },
    "execute",
  );
  let raw = "";
  const transcript = new Transcript({
    clock: systemClock,
    log: silentLog,
    mask: maskerOf([]),
    sink: async (entry) => {
      if (entry.type === "tool_result") raw = entry.raw;
    },
  });
  const call = createCaller({ tools, mode: "execute", transcript, checkLease: () => {}, abort: () => {} });
  const answers: Answer[] = [];
  for (const one of callsFor(components)) {
    const [tool, input] = one;
    const { isError } = await call(tool, { ...input, reason: "a look at what there is to see" }, signal);
    // The whole of it, not what the bound leaves.
    answers.push({ call: one, text: raw, isError });
  }
  return answers;
}

/** Where an answer says too much: the call, and the word with what stands around it. */
export function leaksIn(answers: readonly Answer[]): readonly string[] {
  return answers.flatMap(({ call: [tool, input], text }) => {
    if (input["argv"] === SEARCH && text.startsWith("exit code 0")) return [`found by grep: ${text.slice(0, 400)}`];
    return [FORBIDDEN, OURS].flatMap((pattern) => {
      const found = pattern.exec(text);
      if (found === null) return [];
      const around = text.slice(Math.max(0, found.index - 60), found.index + 60);
      return [`${tool} ${JSON.stringify(input)}: …${around}…`];
    });
  });
}
