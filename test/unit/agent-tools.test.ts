import { describe, expect, test } from "vitest";
import type { Tool } from "../../harness/protocol.ts";
import { buildTools } from "../../harness/agent/tools/index.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { causes } from "../../subjects/tikv/kit/causes.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { createCaller } from "../../harness/agent/caller.ts";
import { loadPrompt, systemText } from "../../harness/agent/operators/claude/prompt.ts";
import { maskerOf, Transcript } from "../../harness/agent/transcript.ts";
import { silentLog } from "../../harness/base/log.ts";
import { FORBIDDEN } from "../support/leak-words.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { COMPONENTS, ScriptedCluster } from "../support/scripted-cluster.ts";

const because = { reason: "the test wants to know what happens" };

function toolBench(mode: "execute" | "observe" = "execute") {
  const clock = new ManualClock();
  const cluster = new ScriptedCluster(clock);
  const deps = { clock, fetch: cluster.fetch };
  const kit = tikvKit({ endpoints: cluster.endpoints, pdUrls: cluster.pdUrls }, deps);
  const findings = { submitted: null };
  const prometheus = prometheusClient({ url: "http://prometheus:9090" }, deps);
  const tools = buildTools({ engine: cluster.engine, kit, prometheus, clock, components: COMPONENTS, findings }, mode);
  const transcript = new Transcript({ clock, log: silentLog, mask: maskerOf([]), sink: async () => {} });
  const call = createCaller({ tools, mode, transcript, checkLease: () => {}, abort: () => {} });
  const run = async (name: string, input: Record<string, unknown> = {}) => {
    let done = false;
    const result = call(name, { ...because, ...input }, new AbortController().signal).finally(() => (done = true));
    while (!done) await clock.advance(1_000);
    return await result;
  };
  return { cluster, tools, kit, run, findings };
}

const names = (tools: readonly Tool[]) => tools.map(({ name }) => name).sort();

/** Nothing more, nothing less. */
const READING = [
  "prometheus_query",
  "prometheus_query_range",
  "prometheus_labels",
  "prometheus_targets",
  "prometheus_alerts",
  "pd_request",
  "tikv_status",
  "container_list",
  "container_inspect",
  "container_logs",
  "container_stats",
  "container_exec",
  "wait",
  "hypothesis",
  "submit_diagnosis",
];
const WRITING = [
  "container_start",
  "container_stop",
  "container_restart",
  "container_kill",
  "container_pause",
  "container_unpause",
  "container_update",
  "container_recreate",
  "network_connect",
  "network_disconnect",
];

describe("what is offered", () => {
  test("in execute mode all, in observe mode nothing that can only write", () => {
    expect(names(toolBench().tools)).toEqual([...READING, ...WRITING].sort());
    expect(names(toolBench("observe").tools)).toEqual([...READING].sort());
  });

  test("every tool insists on a reason", async () => {
    for (const { input, name } of toolBench().tools) {
      const parsed = input.safeParse({});
      expect(
        parsed.error?.issues.map(({ path }) => path[0]),
        name,
      ).toContain("reason");
    }
  });
});

/** A call of each tool that works, and wrong ones. */
const CALLS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["prometheus_query", { query: "up" }],
  ["prometheus_query_range", { query: "up" }],
  ["prometheus_query_range", { query: "up", minutes: 1_440, step_seconds: 1 }],
  ["prometheus_labels", {}],
  ["prometheus_targets", {}],
  ["prometheus_alerts", {}],
  ["prometheus_alerts", { all_rules: true }],
  ["pd_request", { method: "GET", path: "/stores" }],
  ["pd_request", { method: "GET", path: "/health", root: true, member: "pd1" }],
  ["pd_request", { method: "GET", path: "/stores", member: "nobody" }],
  ["pd_request", { method: "POST", path: "/leader/resign" }],
  ["pd_request", { method: "GET", path: "/../secret" }],
  ["tikv_status", { store: "tikv1", method: "GET", path: "/status" }],
  ["tikv_status", { store: "nobody", method: "GET", path: "/status" }],
  ["container_list", {}],
  ["container_inspect", { component: "tikv1" }],
  ["container_inspect", { component: "nobody" }],
  ["container_logs", { component: "tikv1" }],
  ["container_logs", { component: "tikv1", contains: "nothing like that" }],
  ["container_stats", { component: "pd0" }],
  ["container_exec", { component: "tikv1", argv: ["df", "-h"] }],
  ["wait", { seconds: 1 }],
  ["hypothesis", { cause: "disk-full", components: ["tikv1"], confidence: 0.5 }],
  ["hypothesis", { cause: "unheard-of", components: ["tikv1"], confidence: 0.5 }],
  ["hypothesis", { cause: "disk-full", components: ["nobody"], confidence: 0.5 }],
  ["container_pause", { component: "tikv1" }],
  ["container_exec", { component: "tikv1", argv: ["df"] }],
  ["container_unpause", { component: "tikv1" }],
  ["container_stop", { component: "tikv1" }],
  ["container_pause", { component: "tikv1" }],
  ["container_start", { component: "tikv1" }],
  ["container_restart", { component: "tikv1" }],
  ["container_kill", { component: "tikv1" }],
  ["container_update", { component: "tikv1" }],
  ["container_update", { component: "tikv1", cpus: 2 }],
  ["container_recreate", { component: "tikv1" }],
  ["network_disconnect", { component: "tikv1" }],
  ["network_connect", { component: "tikv1" }],
  ["submit_diagnosis", { cause: "none" }],
  [
    "submit_diagnosis",
    {
      cause: "none",
      components: [],
      explanation: "nothing was wrong",
      evidence: ["looked"],
      done: "nothing",
      ending: "x",
    },
  ],
  [
    "submit_diagnosis",
    {
      cause: "none",
      components: [],
      explanation: "nothing was wrong",
      evidence: ["looked"],
      done: "nothing",
      ending: "no-fault",
    },
  ],
  ["shell", {}],
];

describe("nothing tells what this is", () => {
  test("no tool's output, right or wrong", async () => {
    const { run, tools } = toolBench();
    const used = new Set<string>();
    for (const [name, input] of CALLS) {
      used.add(name);
      const { text } = await run(name, input);
      expect(text.match(FORBIDDEN)?.[0] ?? null, `${name} ${JSON.stringify(input)}: ${text}`).toBeNull();
    }
    expect(names(tools).filter((name) => !used.has(name))).toEqual([]);
  });

  test("neither the briefing, the prompt, the causes nor the tools' own words", async () => {
    const { kit, tools } = toolBench();
    // The ending's name is part of the published interface, and as a hyphenated word it says nothing.
    const allowed = (text: string) => text.replaceAll("no-fault", "");
    const texts = [
      systemText(await loadPrompt(), kit.briefing, "execute"),
      ...causes.flatMap(({ id, definition }) => [id, definition]),
      ...tools.map(({ name, description }) => `${name} ${description}`),
    ];
    for (const text of texts) expect(allowed(text).match(FORBIDDEN)?.[0] ?? null, text).toBeNull();
  });

  test("inspection shows no environment, mounts or labels", async () => {
    const { run } = toolBench();
    const { text } = await run("container_inspect", { component: "tikv1" });
    expect(Object.keys(JSON.parse(text) as object).sort()).toEqual([
      "component",
      "exit_code",
      "finished_at",
      "health",
      "image",
      "limits",
      "networks",
      "oom_killed",
      "restart_count",
      "restart_policy",
      "started_at",
      "status",
    ]);
  });
});

describe("what a tool does", () => {
  test("PD is asked through whichever member answers", async () => {
    const { cluster, run } = toolBench();
    cluster.engine.set("pd0", { status: "exited" });
    cluster.engine.set("pd1", { status: "exited" });
    expect((await run("pd_request", { method: "GET", path: "/stores" })).text).toMatch(/^pd2 answered 200/);
    const alone = await run("pd_request", { method: "GET", path: "/stores", member: "pd0" });
    expect(alone).toMatchObject({ isError: true });
  });

  test("alerts: none, those that fire, the rules behind them; no rules is not the same as no alert", async () => {
    const { cluster, run } = toolBench();
    expect((await run("prometheus_alerts")).text).toBe("1 alerting rules loaded; 0 alerts firing, 0 pending");
    expect((await run("prometheus_alerts", { all_rules: true })).text).toContain('"rule":"TargetDown"');
    cluster.deaf.add("tikv1");
    const { text } = await run("prometheus_alerts");
    expect(text).toMatch(/^1 alerting rules loaded; 1 alerts firing, 0 pending\n.*"instance":"tikv1:20180"/);
    expect(text).not.toContain('"rule"');
    cluster.alertRules = false;
    expect(await run("prometheus_alerts")).toMatchObject({
      text: "Prometheus has no alerting rules loaded: it can raise no alert",
      isError: false,
    });
    cluster.engine.set("prometheus", { status: "exited" });
    expect(await run("prometheus_alerts")).toMatchObject({
      isError: true,
      text: expect.stringContaining("prometheus"),
    });
  });

  test("a diagnosis is taken once, and is what was said", async () => {
    const { run, findings } = toolBench();
    const input = {
      cause: "process-stopped",
      components: ["tikv1"],
      explanation: "tikv1 had been stopped",
      evidence: ["exited 137"],
      done: "started it",
      ending: "resolved",
    };
    expect((await run("submit_diagnosis", input)).isError).toBe(false);
    expect((await run("submit_diagnosis", input)).isError).toBe(true);
    expect(findings.submitted).toEqual(input);
  });
});

/** `tikv-facts.md` §6, column "right repair", in calls that the tools take. $ids stand for what is looked up first. */
const REPAIRS: readonly (readonly [row: number, repair: string, calls: typeof CALLS])[] = [
  [1, "start the container", [["container_start", { component: "tikv1" }]]],
  [2, "unpause", [["container_unpause", { component: "tikv1" }]]],
  [3, "reconnect with aliases", [["network_connect", { component: "tikv1", aliases: ["tikv1"] }]]],
  [
    3,
    "remove the tc or iptables rule",
    [
      ["container_exec", { component: "tikv1", argv: ["tc", "qdisc", "del", "dev", "eth0", "root"] }],
      ["container_exec", { component: "tikv1", argv: ["iptables", "-F"] }],
    ],
  ],
  [
    4,
    "heal or start the PD leader",
    [
      ["network_connect", { component: "pd0" }],
      ["container_start", { component: "pd0" }],
    ],
  ],
  [5, "start any one PD", [["container_start", { component: "pd1" }]]],
  [
    6,
    "start either store, then the other",
    [
      ["container_start", { component: "tikv1" }],
      ["container_start", { component: "tikv2" }],
    ],
  ],
  [
    7,
    "free space: the reserve file",
    [
      ["container_exec", { component: "tikv1", argv: ["rm", "/data/space_placeholder_file"] }],
      ["container_start", { component: "tikv1" }],
    ],
  ],
  [
    8,
    "remove the throttle and wait",
    [
      ["container_recreate", { component: "tikv1" }],
      ["wait", { seconds: 120 }],
    ],
  ],
  [
    9,
    "remove netem",
    [["container_exec", { component: "tikv1", argv: ["tc", "qdisc", "del", "dev", "eth0", "root", "netem"] }]],
  ],
  [
    10,
    "remove netem",
    [["container_exec", { component: "tikv1", argv: ["tc", "qdisc", "del", "dev", "eth0", "root", "netem"] }]],
  ],
  [
    11,
    "fix host time: a person's; hand over",
    [
      [
        "submit_diagnosis",
        {
          cause: "clock-skew",
          components: [],
          explanation: "the host's clock jumps",
          evidence: ["clock-offset in PD's log"],
          done: "nothing",
          ending: "escalated",
        },
      ],
    ],
  ],
  [
    12,
    "raise the limit, start",
    [
      ["container_update", { component: "tikv1", memory_bytes: 2_147_483_648 }],
      ["container_start", { component: "tikv1" }],
    ],
  ],
  [
    12,
    "shrink the block cache",
    [
      [
        "tikv_status",
        { store: "tikv1", method: "POST", path: "/config", body: { "storage.block-cache.capacity": "256MB" } },
      ],
    ],
  ],
  [13, "quota back", [["container_update", { component: "tikv1", cpus: null }]]],
  [
    14,
    "restore file or value",
    [
      [
        "tikv_status",
        {
          store: "tikv1",
          method: "POST",
          path: "/config?persist=true",
          body: { "raftstore.max-peer-down-duration": "10m" },
        },
      ],
      ["pd_request", { method: "POST", path: "/config", body: { "schedule.region-schedule-limit": 2048 } }],
      ["container_restart", { component: "tikv1" }],
    ],
  ],
  [
    15,
    "delay 0, restore config",
    [
      ["pd_request", { method: "POST", path: "/schedulers/all", body: { delay: 0 } }],
      ["pd_request", { method: "POST", path: "/config", body: { "halt-scheduling": "false" } }],
    ],
  ],
  [16, "POST state=Up", [["pd_request", { method: "POST", path: "/store/4/state?state=Up" }]]],
  [
    17,
    "fix its store, or remove-peer",
    [["pd_request", { method: "POST", path: "/operators", body: { name: "remove-peer", region_id: 14, store_id: 4 } }]],
  ],
  [
    18,
    "DELETE the scheduler of that store",
    [["pd_request", { method: "DELETE", path: "/schedulers/evict-leader-scheduler-4" }]],
  ],
  [
    19,
    "quorum of PD first, then TiKV",
    [
      ["container_start", { component: "pd1" }],
      ["container_start", { component: "tikv1" }],
    ],
  ],
  [
    20,
    "stop the loop",
    [
      ["container_logs", { component: "tikv1", tail: 200 }],
      ["container_stop", { component: "tikv1" }],
    ],
  ],
  [21, "old tag", [["container_recreate", { component: "tikv1", image: "pingcap/tikv:v8.5.5" }]]],
  [
    22,
    "force-delete the old id, restart, remove-tombstone",
    [
      ["pd_request", { method: "DELETE", path: "/store/4?force" }],
      ["container_restart", { component: "tikv1" }],
      ["pd_request", { method: "DELETE", path: "/stores/remove-tombstone" }],
    ],
  ],
  [
    23,
    "restore weight and label",
    [
      ["pd_request", { method: "POST", path: "/store/4/weight", body: { leader: 1, region: 1 } }],
      ["pd_request", { method: "POST", path: "/store/4/label", body: { zone: "a" } }],
    ],
  ],
];

describe("every right repair of tikv-facts §6 can be expressed", () => {
  test.each(REPAIRS.map((repair) => [...repair] as const))("row %i: %s", async (_, __, calls) => {
    const { run } = toolBench();
    for (const [name, input] of calls) {
      const { text, isError } = await run(name, input);
      expect(isError, `${name}: ${text}`).toBe(false);
    }
  });

  test("no row is missing", () => {
    expect(new Set(REPAIRS.map(([row]) => row))).toEqual(new Set(Array.from({ length: 23 }, (_, index) => index + 1)));
  });
});
