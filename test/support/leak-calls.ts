import type { SubjectInstance } from "../../harness/protocol.ts";
import { FORBIDDEN_WORDS } from "./leak-words.ts";
import type { ToolCall } from "./operator-side.ts";

/** GET paths of PD's API (tikv-facts §1), right and wrong ones. */
const PD_PATHS = [
  "/stores /stores?state=0 /stores?state=Up /stores/check?state=Down /stores/limit /stores/progress?action=removing",
  "/store/1 /store/4 /store/999 /store/x /regions /regions?limit=1 /regions/count /region/id/1 /region/id/999999",
  "/region/key/a /regions/store/1 /regions/key?key=a&limit=2 /regions/writeflow /regions/size /regions/range-holes",
  "/regions/check/miss-peer /regions/check/down-peer /regions/check/pending-peer /regions/check/nothing",
  "/members /leader /health /ping /status /version /cluster /cluster/status /config /config/schedule",
  "/config/replicate /config/default /config/store /config/cluster-version /config/rules /operators /operators?object",
  "/operators/1 /operators/records?from=1 /schedulers /schedulers?status=paused /scheduler-config",
  "/scheduler-config/balance-leader-scheduler/list /checker/merge /hotspot/stores /hotspot/regions/write /stats/region",
  "/trend /metric/query?query=up /min-resolved-ts /admin/unsafe/remove-failed-stores/show /debug/pprof/heap /nothing",
].flatMap((line) => line.split(" "));
/** Answered by each member for itself. */
const ROOT_PATHS = "/ /health /livez /readyz /metrics /version /v3/maintenance/status /debug/pprof/cmdline /dashboard/";
const STATUS_PATHS =
  "/ /status /metrics /config /config?full=true /region/1 /region/2 /region/x /engine_type /debug/pprof/cmdline " +
  "/debug/pprof/heap /resource_groups /async_tasks /nothing";

/** What a curious operator runs in a container. Engines refuse what they do not have. */
const CURIOUS: readonly (readonly string[])[] = [
  ["ls", "-la"],
  ["ls", "-la", "/"],
  ["ls", "-la", "/opt", "/opt/cluster", "/data", "data"],
  ["ls", "-la", "../.."],
  ["df", "-h"],
  ["cat", "/proc/1/cmdline", "/proc/1/environ"],
  // Zero bytes would make it a binary that is not shown.
  ["sh", "-c", "cat /proc/*/cmdline /proc/*/environ | tr '\\0' ' '"],
  ["cat", "/proc/self/mountinfo"],
  ["cat", "/proc/self/cgroup", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"],
  ["cat", "/pd-server", "/tikv-server"],
  ["env"],
  ["id"],
  ["ps", "aux"],
  ["mount"],
  ["hostname"],
  ["no-such-program"],
  ["pd-ctl", "store"],
  ["pd-ctl", "config", "show"],
  ["pd-ctl", "no-such-command"],
  ["pd-ctl", "-u", "http://127.0.0.1:1", "store"],
  ["/pd-ctl", "-u", "http://pd0:2379", "health"],
];

/** Files of our images below `/opt` that say too much. Only what others publish is left out, by name. */
export const SEARCH = ["grep", "-rliwE", FORBIDDEN_WORDS, "--exclude-dir=node_modules", "/opt"];

/** Looks at everything. Members and stores are asked less when one of them may not answer: each question is a wait. */
export function lookingCalls(
  instance: SubjectInstance,
  options: { readonly metricLabels: readonly string[]; readonly harmed: string | null },
): readonly ToolCall[] {
  const { metricLabels, harmed } = options;
  const asked = (paths: string) => paths.split(" ").slice(0, harmed === null ? undefined : 2);
  const of = (role: string) =>
    instance.components.filter((info) => info.role === role).map(({ component }): string => component);
  const components = instance.components.map(({ component }): string => component);
  return [
    ["container_list", {}],
    ...components.flatMap((component): ToolCall[] => [
      ["container_inspect", { component }],
      ["container_logs", { component, tail: 2_000 }],
      ["container_logs", { component, since_seconds: 1, contains: "e" }],
      ["container_stats", { component }],
    ]),
    ...(harmed === null ? [of("pd")[0], of("tikv")[0], of("metrics")[0]] : [harmed]).flatMap((component): ToolCall[] =>
      CURIOUS.map((argv): ToolCall => ["container_exec", { component, argv }]),
    ),
    ...PD_PATHS.map((path): ToolCall => ["pd_request", { method: "GET", path }]),
    ...of("pd").flatMap((member): ToolCall[] => [
      ...asked(ROOT_PATHS).map((path): ToolCall => ["pd_request", { method: "GET", path, member, root: true }]),
      ["pd_request", { method: "GET", path: "/stores", member }],
    ]),
    ...of("tikv").flatMap((store): ToolCall[] =>
      asked(STATUS_PATHS).map((path): ToolCall => ["tikv_status", { store, method: "GET", path }]),
    ),
    ["prometheus_targets", {}],
    ["prometheus_alerts", {}],
    ["prometheus_alerts", { all_rules: true }],
    ...metricLabels.map((label): ToolCall => ["prometheus_labels", { label }]),
    ["prometheus_query", { query: '{__name__=~".+"}' }],
    ["prometheus_query", { query: '{job="client"}' }],
    ["prometheus_query", { query: "up" }],
    ["prometheus_query", { query: "no(such" }],
    ["prometheus_query", { query: "no_such_function(up)" }],
    ["prometheus_query_range", { query: "up" }],
    ["prometheus_query_range", { query: "up", step_seconds: 1, minutes: 1_440 }],
  ];
}

/** What changes something, right and wrong, and what an operator says. Leaves the cluster whole, though not at once. */
export function actingCalls(store: string, member: string): readonly ToolCall[] {
  return [
    ["pd_request", { method: "POST", path: "/nothing", body: { a: 1 } }],
    ["pd_request", { method: "POST", path: "/config", body: { "schedule.no-such": 1 } }],
    ["pd_request", { method: "POST", path: "/config", body: "not JSON" }],
    ["pd_request", { method: "POST", path: "/operators", body: { name: "no-such" } }],
    ["pd_request", { method: "POST", path: "/schedulers", body: { name: "no-such" } }],
    ["pd_request", { method: "POST", path: "/store/999/state?state=Up" }],
    ["pd_request", { method: "DELETE", path: "/members/name/nobody" }],
    ["pd_request", { method: "DELETE", path: "/store/999" }],
    ["pd_request", { method: "POST", path: "/leader/resign" }],
    ["tikv_status", { store, method: "POST", path: "/config", body: { "no.such": 1 } }],
    ["tikv_status", { store, method: "PUT", path: "/log-level", body: "{" }],
    ["container_start", { component: store }],
    ["container_unpause", { component: store }],
    ["container_pause", { component: store }],
    ["container_exec", { component: store, argv: ["df"] }],
    ["container_pause", { component: store }],
    ["container_unpause", { component: store }],
    ["network_disconnect", { component: store }],
    ["network_disconnect", { component: store }],
    ["network_connect", { component: store }],
    ["container_update", { component: store }],
    ["container_update", { component: store, restart_policy: "unless-stopped" }],
    ["container_update", { component: store, cpus: 1 }],
    ["container_kill", { component: store, signal: "SIGNONE" }],
    ["container_kill", { component: member }],
    ["container_kill", { component: member }],
    ["container_exec", { component: member, argv: ["ls"] }],
    ["container_stats", { component: member }],
    ["pd_request", { method: "GET", path: "/health", member }],
    ["container_logs", { component: member }],
    ["container_start", { component: member }],
    ["container_stop", { component: store, grace_seconds: 5 }],
    ["container_restart", { component: store, grace_seconds: 5 }],
    ["container_recreate", { component: store, image: "no/such:image" }],
    ["container_recreate", { component: store }],
    ["wait", { seconds: 0.1 }],
    ["wait", { seconds: -1 }],
    ["hypothesis", { cause: "none", components: [], confidence: 0.1 }],
    ["hypothesis", { cause: "unheard-of", components: ["nobody"], confidence: 0.1 }],
    ["hypothesis", { cause: "none", components: ["nobody"], confidence: 0.1 }],
    ["no_such_tool", {}],
  ];
}

/** The last words, wrong and right: after them nothing can be changed. */
export function lastCalls(store: string): readonly ToolCall[] {
  return [
    ["submit_diagnosis", { cause: "none" }],
    ["submit_diagnosis", { cause: "none", ending: "no-such" }],
    [
      "submit_diagnosis",
      {
        cause: "none",
        components: [],
        explanation: "just looked around",
        evidence: ["all well"],
        done: "much",
        ending: "no-fault",
      },
    ],
    ["container_kill", { component: store }],
    ["submit_diagnosis", { cause: "none" }],
  ];
}
