import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { HarnessError } from "../../harness/base/errors.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { runAgent, type AgentOptions } from "../../harness/agent/agent.ts";
import { defaultLimits, noUsage } from "../../harness/agent/limits.ts";
import { maskerOf } from "../../harness/agent/transcript.ts";
import type { Component, InstanceId, Operator, OperatorContext, OperatorResult } from "../../harness/protocol.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { COMPONENTS, ScriptedCluster } from "../support/scripted-cluster.ts";
import { engineGone } from "../support/scripted-engine.ts";

const instance = "ab12cd34" as InstanceId;
const deps = { clock: systemClock, ids: randomIds, log: silentLog };

async function bench() {
  const folder = await mkdtemp(join(tmpdir(), "agent-"));
  const path = join(folder, "tickets.db");
  const tickets = await openTickets(path, deps);
  onTestFinished(async () => {
    await tickets[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  return { path, tickets, cluster: new ScriptedCluster(systemClock) };
}

async function report(tickets: Tickets, component = "tikv1"): Promise<number> {
  const { ticket } = await tickets.reportViolation({
    instance,
    invariant: "store_up",
    component: component as Component,
    severity: "critical",
    message: `${component} does not answer`,
    snapshot: null,
  });
  return ticket.id;
}

function scripted(work: (context: OperatorContext, signal: AbortSignal) => Promise<Partial<OperatorResult>>): Operator {
  return {
    name: "scripted",
    scripted: true,
    work: async (context, signal) => ({
      ending: "resolved",
      reason: "as the script says",
      diagnosis: null,
      usage: noUsage,
      ...(await work(context, signal)),
    }),
  };
}

function options(tickets: Tickets, cluster: ScriptedCluster, operator: Operator): AgentOptions {
  return {
    tickets,
    instance,
    operator,
    engine: cluster.engine,
    kit: tikvKit(
      { endpoints: cluster.endpoints, pdUrls: cluster.pdUrls },
      { clock: systemClock, fetch: cluster.fetch },
    ),
    prometheus: null,
    components: COMPONENTS,
    mode: "execute",
    limits: defaultLimits,
    mask: maskerOf([]),
    holder: randomIds.hex(4),
    leaseMs: 900,
    once: true,
    takesUnscoped: false,
  };
}

const because = { reason: "the test wants to see it" };

describe("one incident", () => {
  test("is claimed when it appears, worked and ended; the trail stands in true order", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    const operator = scripted(async (context, inner) => {
      context.say("looking");
      await context.call("container_list", because, inner);
      await context.call("container_stop", { ...because, component: "tikv1" }, inner);
      return {};
    });
    const running = runAgent(options(tickets, cluster, operator), deps, signal);
    const id = await report(tickets);
    const worked = await running;
    if (worked?.outcome !== "ended") throw new Error(`unexpected: ${worked?.outcome}`);
    expect(worked.ending).toBe("resolved");
    expect(await tickets.get(id)).toMatchObject({ status: "diagnosed", ending: "resolved" });
    expect(await tickets.session(worked.sessionId)).toMatchObject({
      operator: "scripted",
      ending: "resolved",
      details: { briefing: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    });
    const entries = await tickets.logEntries(worked.sessionId);
    expect(entries.map(({ type, tool, effect }) => [type, tool, effect])).toEqual([
      ["reasoning", null, null],
      ["tool_call", "container_list", "read"],
      ["tool_result", "container_list", "read"],
      ["tool_call", "container_stop", "write"],
      ["tool_result", "container_stop", "write"],
    ]);
    expect(entries.every(({ startedAt, endedAt }) => endedAt >= startedAt)).toBe(true);
  });

  test("of another instance is left alone", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    const id = await report(tickets);
    const stop = new AbortController();
    const other = {
      ...options(
        tickets,
        cluster,
        scripted(async () => ({})),
      ),
      instance: "ffff" as InstanceId,
    };
    const running = runAgent(other, deps, AbortSignal.any([signal, stop.signal]));
    await systemClock.sleep(100, signal);
    stop.abort(new HarnessError("interrupted", "enough"));
    expect(await running).toBeNull();
    expect((await tickets.get(id)).status).toBe("open");
  });

  test("the lease is renewed while the work goes on", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    await report(tickets);
    const operator = scripted(async (context, inner) => {
      // Longer than the lease of 0.9 s.
      await systemClock.sleep(1_500, inner);
      await context.call("container_pause", { ...because, component: "tikv1" }, inner);
      return {};
    });
    expect(await runAgent(options(tickets, cluster, operator), deps, signal)).toMatchObject({ outcome: "ended" });
    expect(cluster.engine.acts).toEqual(["pause tikv1"]);
  });
});

describe("what ends it otherwise", () => {
  test("told to stop: released at once, claimable again, and the attempt does not count", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    const id = await report(tickets);
    const stop = new AbortController();
    const operator = scripted(async (_, inner) => {
      stop.abort(new HarnessError("interrupted", "the agent was told to stop (SIGTERM)"));
      await systemClock.sleep(60_000, inner);
      return {};
    });
    const worked = await runAgent(options(tickets, cluster, operator), deps, AbortSignal.any([signal, stop.signal]));
    expect(worked?.outcome).toBe("released");
    expect(await tickets.get(id)).toMatchObject({ status: "open" });
    expect(await tickets.session(worked?.sessionId ?? "")).toMatchObject({
      ending: "released",
      reason: expect.stringContaining("SIGTERM") as string,
    });
    expect(await tickets.claimNext({ instances: [instance], holder: "next", leaseMs: 1_000 })).not.toBeNull();
  });

  test("a person takes it away: nothing more is done, and nothing is completed", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    const id = await report(tickets);
    const operator = scripted(async (context, inner) => {
      await tickets.hold(id);
      await context.call("container_stop", { ...because, component: "tikv1" }, inner);
      return {};
    });
    const worked = await runAgent(options(tickets, cluster, operator), deps, signal);
    expect(worked?.outcome).toBe("lost");
    expect(cluster.engine.acts).toEqual([]);
    expect(await tickets.session(worked?.sessionId ?? "")).toMatchObject({ ending: "lost" });
  });

  test("an engine that is gone: aborted, also when the operator would carry on", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    await report(tickets);
    const operator = scripted(async (context, inner) => {
      cluster.engine.broken = engineGone();
      await context.call("container_list", because, inner).catch(() => {});
      return { ending: "resolved" };
    });
    const worked = await runAgent(options(tickets, cluster, operator), deps, signal);
    expect(worked).toMatchObject({ outcome: "aborted", error: { code: "engine-unreachable" } });
    expect(await tickets.session(worked?.sessionId ?? "")).toMatchObject({ ending: "failed" });
  });

  test("working time that is over is a limit, not a failure", async ({ signal }) => {
    const { tickets, cluster } = await bench();
    await report(tickets);
    const operator = scripted(async (_, inner) => {
      await systemClock.sleep(60_000, inner);
      return {};
    });
    const short = { ...options(tickets, cluster, operator), limits: { ...defaultLimits, workingMs: 50 } };
    expect(await runAgent(short, deps, signal)).toMatchObject({ outcome: "ended", ending: "limit" });
  });
});

describe("the program", () => {
  const program = resolve(import.meta.dirname, "../../harness/agent/main.ts");
  async function start(args: readonly string[], env: Record<string, string>) {
    const child = spawn(process.execPath, [program, ...args], { env: { PATH: process.env["PATH"] ?? "", ...env } });
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    return {
      code,
      lines: text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    };
  }

  test("wrong settings: one sentence, code 2, and the key is not in it", async () => {
    const { code, lines } = await start([], { ANTHROPIC_API_KEY: "sk-test-secret-123" });
    expect(code).toBe(2);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.["why"]).toMatch(/^PD_URLS is missing/);
    expect(JSON.stringify(lines)).not.toContain("sk-test");
  });

  test("an engine that does not answer: said, code 3, no ticket file made", async () => {
    const env = { PD_URLS: "http://pd0:2379", INSTANCE_ID: "a", ENGINE: "unix:/nowhere/engine.sock", HOME: "/nowhere" };
    const { code, lines } = await start([], env);
    expect(code).toBe(3);
    expect(lines.at(-1)).toMatchObject({ event: "agent.failed", code: "engine-unreachable" });
  });

  test.each([
    ["legacy mode", [], "unix:/nowhere/engine.sock", "warn", "compose_agent=false - running in legacy mode"],
    [
      "compose mode",
      ["--compose-mode"],
      "control:unix:/nowhere/control.sock",
      "info",
      "compose_agent=true - compose-agent sidecar handling Docker operations",
    ],
  ])("%s is the first thing it says, and then for which plane", async (_, args, engine, level, event) => {
    const env = { PD_URLS: "http://pd0:2379", INSTANCE_ID: "a", HOME: "/nowhere", CONTROL_PLANE: "compose_agent" };
    const child = spawn(process.execPath, [program, ...args], {
      env: { PATH: process.env["PATH"] ?? "", ...env, ENGINE: engine },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const closed = once(child, "close");
    const lines: unknown[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(JSON.parse(line));
      if (lines.length === 2) child.kill("SIGKILL");
    }
    await closed;
    expect(lines.slice(0, 2)).toMatchObject([
      { level, event },
      { level: "info", event: "Control plane identified", control_plane: "compose_agent" },
    ]);
  });
});
