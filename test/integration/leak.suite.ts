import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { incidentText, loadPrompt, systemText } from "../../harness/agent/operators/claude/prompt.ts";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { faultKinds, makeFault } from "../../harness/faults/registry.ts";
import { runMonitor } from "../../harness/monitor/index.ts";
import type { Component, Deps, FaultSpec, Incident, SubjectInstance } from "../../harness/protocol.ts";
import type { ControlStarter } from "../../harness/trial/control.ts";
import { operatorEnvironment } from "../../harness/trial/operator-run.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { actingCalls, lastCalls, lookingCalls, SEARCH } from "../support/leak-calls.ts";
import { leaksIn } from "../support/leak-words.ts";
import { openOperatorSide, type OperatorSide, type ToolCall } from "../support/operator-side.ts";

export const leakDeps: Deps = {
  clock: systemClock,
  random: seededRandom(randomIds.hex(4)),
  ids: randomIds,
  log: silentLog,
  fetch,
};

/** What is there besides the cluster, and none of the operator's business. */
export interface Bystanders extends AsyncDisposable {
  /** Every name under which it could be asked for. */
  readonly names: readonly string[];
  /** Differs when any of it was touched. */
  state(signal: AbortSignal): Promise<unknown>;
}

export interface LeakSuite {
  /** A cluster below `root`, not yet ready. */
  deploy(root: string, signal: AbortSignal): Promise<SubjectInstance>;
  bystanders(instance: SubjectInstance, signal: AbortSignal): Promise<Bystanders>;
  /** The control plane in front of it, as a trial in compose mode starts it. */
  readonly control: ControlStarter;
  /**
   * Ways out of a container that a shell, a path or an address might offer; what must not be in any answer, and what
   * must be, so that it is not for another reason that nothing came out.
   */
  readonly escapes: readonly { readonly argv: readonly string[]; readonly not: RegExp; readonly but?: RegExp }[];
}

const victims: readonly FaultSpec[] = [
  { kind: "kill", target: "pd1" as Component, params: {} },
  { kind: "hang", target: "tikv1" as Component, params: {} },
  { kind: "isolate", target: "tikv0" as Component, params: {} },
  { kind: "crash-loop", target: "tikv2" as Component, params: { untilDownMs: 700, maxCrashes: 8 } },
];
const load = { seed: 1, ratePerSecond: 30, clients: 4, keyPrefix: "k", deadlineMs: 1_000 };
const limit = (ms: number) => AbortSignal.timeout(ms);

/** What an operator is told and can ask for, with nothing wrong and under each fault; and every way out that we know. */
export function leakSuite(suite: LeakSuite): void {
  // What the lab's own environment holds: none of it may come back.
  const canary = `sk-ant-canary-${randomIds.hex(8)}`;
  const scope = new AsyncDisposableStack();
  let root: string;
  let instance: SubjectInstance;
  let operator: OperatorSide;
  let tickets: Tickets;

  beforeAll(async () => {
    for (const name of ["ANTHROPIC_API_KEY", "AGENT_LAB_HOME_CANARY"]) {
      process.env[name] = canary;
      scope.defer(() => void delete process.env[name]);
    }
    root = await mkdtemp(join(tmpdir(), "leak-"));
    scope.defer(() => rm(root, { recursive: true, force: true }));
    const signal = limit(110_000);
    instance = scope.use(await suite.deploy(root, signal));
    await instance.waitReady({ timeoutMs: 60_000 }, signal);
    scope.use(await instance.startWorkload(load, signal));
    tickets = scope.use(await openTickets(join(root, "tickets", "tickets.db"), leakDeps));
    const stop = new AbortController();
    const watching = runMonitor({ instance, tickets, deps: leakDeps, intervalMs: 500 }, stop.signal);
    scope.defer(async () => {
      stop.abort();
      await watching;
    });
    operator = scope.use(await openOperatorSide(instance, limit(600_000)));
  });
  afterAll(() => scope.disposeAsync());

  const leaks = () => leaksIn(operator.heard.splice(0), [root, canary]);
  // Prometheus is started when the cluster is ready, and nobody waits for it.
  const metricLabels = () =>
    waitFor(
      async () => {
        const reply = await fetch(`${instance.endpoints("host").prometheusUrl}/api/v1/labels`).catch(() => null);
        return reply === null ? null : z.object({ data: z.array(z.string()) }).parse(await reply.json()).data;
      },
      { ...wait, what: "Prometheus", signal: limit(60_000) },
    );
  const lookAround = async (harmed: string | null) =>
    operator.askAll(lookingCalls(instance, { metricLabels: await metricLabels(), harmed }));

  test("with nothing wrong, no answer of a tool says what this is", async () => {
    await lookAround(null);
    expect(operator.heard.length).toBeGreaterThan(200);
    expect(leaks()).toEqual([]);
  });

  test("through the control plane, in compose mode, no answer says more", async () => {
    const folder = join(root, "control");
    await mkdir(folder, { mode: 0o700 });
    const variant = { name: "runbook", mode: "execute", model: null, usdCap: null, runbookDirs: [] } as const;
    // What no rule lists counts as a change, and a change names an incident that is claimed.
    const path = join(root, "claimed", "tickets.db");
    await using claimed = await openTickets(path, leakDeps);
    const about = { instance: instance.id, invariant: "store_up", component: "tikv1" as Component };
    await claimed.create({ ...about, severity: "critical", message: "tikv1 does not answer", manual: true });
    const incident = await claimed.claimNext({ instances: [instance.id], holder: "operator", leaseMs: 600_000 });
    if (incident === null) throw new Error("nothing to claim");
    await using control = await suite.control(instance, { tickets: path, folder, variant }, limit(110_000));
    await using remote = await openOperatorSide(instance, limit(110_000), { told: control.operator, incident });
    await remote.askAll(lookingCalls(instance, { metricLabels: [], harmed: null }));
    expect(remote.heard.length).toBeGreaterThan(100);
    // What it is told may name a folder of this test; what it hears may not.
    expect(leaksIn(remote.heard.splice(0), [root, canary])).toEqual([]);
    const told = operatorEnvironment(variant, instance, "host", control);
    expect(JSON.stringify(told)).not.toContain("engine.sock");
    expect(leaksIn([{ where: "environment", text: JSON.stringify(told).replaceAll(root, "") }], [canary])).toEqual([]);
  });

  test("what it is told before it asks says nothing either", async () => {
    const variant = { name: "claude", mode: "execute", model: "some-model", usdCap: 2, runbookDirs: [] } as const;
    const told = (["host", "network"] as const).flatMap((view) => {
      // The socket's path is for its program; no tool returns it.
      const { ENGINE, ...env } = operatorEnvironment(variant, instance, view, null);
      const { briefing, causes } = tikvKit(
        { endpoints: instance.endpoints(view), pdUrls: (env["PD_URLS"] ?? "").split(",") },
        leakDeps,
      );
      return [
        { where: `environment, ${view}`, text: JSON.stringify({ ...env, ENGINE: ENGINE?.replace(root, "") }) },
        { where: `briefing, ${view}`, text: briefing },
        { where: "causes", text: JSON.stringify(causes) },
      ];
    });
    const prompt = await loadPrompt();
    const schemas = operator.tools.map(({ name, description, input }) => ({
      where: `description of ${name}`,
      text: `${name}: ${description} ${JSON.stringify(z.toJSONSchema(input, { io: "input" }))}`,
    }));
    told.push(...schemas, { where: "prompt", text: systemText(prompt, "", "observe") });
    expect(schemas.length).toBeGreaterThan(20);
    expect(leaksIn(told, [root, canary])).toEqual([]);
  });

  test("nothing below the program folders of a container says what it is", async () => {
    for (const component of ["pd0", "tikv0"]) {
      const { text } = await operator.ask(["container_exec", { component, argv: SEARCH, timeout_seconds: 30 }]);
      // grep's word for "nothing found"; the process engine has no grep.
      expect(text).toMatch(/^exit code 1$|does not run "grep"/);
    }
    expect(leaks()).toEqual([]);
  });

  test("there is a victim for every kind of fault", () => {
    expect(victims.map(({ kind }) => kind).toSorted()).toEqual([...faultKinds].toSorted());
  });

  describe.each(victims)("under $kind of $target", (spec) => {
    test("neither its tickets nor any answer of a tool says what was done", async () => {
      const signal = limit(110_000);
      const fault = makeFault(spec, instance.engine, leakDeps);
      await fault.inject(signal);
      try {
        await lookAround(spec.target);
        // Four crashes are over before anybody is sure of them.
        if (spec.kind !== "crash-loop") {
          const incident = await claimed(tickets, instance, signal);
          const told = [{ where: "incident", text: incidentText(incident) }];
          expect(leaksIn(told, [root, canary, instance.id])).toEqual([]);
        }
      } finally {
        await fault.heal(signal);
      }
      await waitFor(() => fault.verify("gone", signal), { ...wait, what: "the end of it", signal });
      expect(leaks()).toEqual([]);
    });
  });

  test("what it does is answered without a word too much, rightly done or not", async () => {
    for (const call of actingCalls("tikv0", "pd0")) await operator.ask(call);
    expect(leaks()).toEqual([]);
  });

  describe("ways out", () => {
    test("whatever is not the cluster's does not exist, whatever is asked of it", async () => {
      const signal = limit(110_000);
      await using others = await suite.bystanders(instance, signal);
      const before = await others.state(signal);
      const names = ["nobody", ...others.names, "workload", "agent", "supervisor", "../pd0", "pd0/../pd1", "-a", ""];
      const answers = await Promise.all(
        names.map(async (name) => (await operator.askAll(reaching(name))).map(({ text, isError }) => [isError, text])),
      );
      const [unknown = [], ...rest] = answers;
      expect(unknown.map(([isError]) => isError)).toEqual(reaching("").map(() => true));
      // Just as what was never there, so that not even its existence is told.
      rest.forEach((answer, index) => {
        const name = names[index + 1] ?? "";
        if (!/^[A-Za-z0-9]([A-Za-z0-9_.-]){0,62}$/.test(name))
          return expect([name, answer.map(([isError]) => isError)]).toEqual([name, unknown.map(() => true)]);
        const whole = new RegExp(`\\b${name.replaceAll(".", "\\.")}\\b`, "g");
        const renamed = answer.map(([isError, text]) => [isError, String(text).replaceAll(whole, "nobody")]);
        expect([name, renamed]).toEqual([name, unknown]);
      });
      expect(await others.state(signal)).toEqual(before);
      const listed = JSON.parse((await operator.ask(["container_list", {}])).text) as { component: string }[];
      expect(listed.map(({ component }) => component).sort()).toEqual(
        instance.components.map(({ component }): string => component).sort(),
      );
      expect(leaks()).toEqual([]);
    });

    test("only this cluster's servers are asked, only by paths of theirs", async () => {
      const before = operator.heard.length;
      const answers = await operator.askAll(addressTricks);
      expect(answers.filter(({ isError }) => !isError)).toEqual([]);
      expect(operator.heard.length - before).toBe(addressTricks.length);
      expect(leaks()).toEqual([]);
    });

    test("arguments beyond a tool's own, such as another network, are refused", async () => {
      const answers = await operator.askAll(argumentTricks);
      expect(answers.map(({ isError }) => isError)).toEqual(argumentTricks.map(() => true));
      expect(leaks()).toEqual([]);
    });

    test.each(suite.escapes)("$argv stays inside", async ({ argv, not, but = /./ }) => {
      for (const component of ["pd2", "tikv2"]) {
        const { text } = await operator.ask(["container_exec", { component, argv }]);
        // A refusal may repeat what was asked for.
        const own = [...argv].sort((a, b) => b.length - a.length).reduce((rest, arg) => rest.replaceAll(arg, ""), text);
        expect(own).not.toMatch(not);
        expect(text).toMatch(but);
      }
      expect(leaks()).toEqual([]);
    });
  });

  test("its last words are answered without one too much, and nothing is changed after them", async () => {
    const refused: boolean[] = [];
    for (const call of lastCalls("tikv0")) refused.push((await operator.ask(call)).isError === true);
    expect(refused).toEqual([true, true, false, true, true]);
    expect(leaks()).toEqual([]);
  });
}

const wait = { clock: systemClock, timeoutMs: 40_000, everyMs: 100 };

/** The tickets that a fault led to, as an operator gets them. */
async function claimed(tickets: Tickets, instance: SubjectInstance, signal: AbortSignal): Promise<Incident> {
  const request = { instances: [instance.id], holder: "the test", leaseMs: 60_000 };
  const incident = await waitFor(() => tickets.claimNext(request), { ...wait, what: "a ticket", signal });
  const latest = await tickets.refresh(incident);
  await tickets.release(incident, { sessionId: null, reason: "the test has read it" });
  return latest;
}

/** Every tool that acts on a component. */
function reaching(component: string): readonly ToolCall[] {
  return [
    ["container_inspect", { component }],
    ["container_logs", { component }],
    ["container_stats", { component }],
    ["container_exec", { component, argv: ["ls"] }],
    ["container_start", { component }],
    ["container_stop", { component }],
    ["container_restart", { component }],
    ["container_kill", { component }],
    ["container_pause", { component }],
    ["container_unpause", { component }],
    ["container_update", { component, restart_policy: "no" }],
    ["container_recreate", { component }],
    ["network_disconnect", { component }],
    ["network_connect", { component, aliases: ["pd0"] }],
    ["tikv_status", { store: component, method: "GET", path: "/status" }],
    ["pd_request", { method: "GET", path: "/stores", member: component }],
  ];
}

const PATHS = [
  "http://127.0.0.1:9/",
  "//127.0.0.1:9/",
  "/../../metrics",
  "/%2e%2e/%2e%2e/metrics",
  "/./stores",
  "/stores/../../../metrics",
  "/a\r\nHost: elsewhere",
  "/a b",
  "@elsewhere/",
  ":9/",
  "/stores#x",
  "\\\\elsewhere\\a",
  "/stores\u0000",
  "",
];
const addressTricks: readonly ToolCall[] = [
  ...PATHS.flatMap((path): ToolCall[] => [
    ["pd_request", { method: "GET", path }],
    ["pd_request", { method: "GET", path, root: true }],
    ["tikv_status", { store: "tikv0", method: "GET", path }],
  ]),
  ...["127.0.0.1:9", "tikv0", "pd0:2379", "pd0@elsewhere", "http://pd0", "__proto__", "constructor"].flatMap(
    (name): ToolCall[] => [
      ["pd_request", { method: "GET", path: "/health", member: name }],
      ["tikv_status", { store: name === "tikv0" ? "pd0" : name, method: "GET", path: "/status" }],
    ],
  ),
];
const argumentTricks: readonly ToolCall[] = [
  ["network_connect", { component: "pd0", network: "bridge" }],
  ["network_connect", { component: "pd0", aliases: ["../x"] }],
  ["network_disconnect", { component: "pd0", network: "bridge" }],
  ["container_exec", { component: "pd0", argv: ["id"], user: "0" }],
  ["container_exec", { component: "pd0", argv: ["id"], privileged: true }],
  ["container_exec", { component: "pd0", argv: [] }],
  ["container_recreate", { component: "pd0", binds: ["/:/host"] }],
  ["container_recreate", { component: "pd0", image: "operator-agent:1" }],
  ["container_recreate", { component: "pd0", image: "tikv-workload:1" }],
  ["container_recreate", { component: "pd0", image: "net-tools:1" }],
  ["container_recreate", { component: "pd0", image: "--privileged" }],
  ["container_update", { component: "pd0", devices: ["/dev/sda"] }],
  ["container_kill", { component: "pd0", signal: "9; id" }],
  ["container_logs", { component: "pd0", follow: true }],
  ["crash", { component: "pd0" }],
  ["cut", { component: "pd0" }],
  ["tear-down", {}],
];
