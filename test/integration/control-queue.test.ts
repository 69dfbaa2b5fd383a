import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import type { ControlClient } from "../../harness/control/client/index.ts";
import type { CommandReport } from "../../harness/control/contract.ts";
import { CommandQueue, type NewCommand } from "../../harness/control/queue/command-queue.ts";
import type { Component, EpochMs } from "../../harness/protocol.ts";
import { openTickets } from "../../tickets/index.ts";
import { startControl, type TestControl, type TestControlOptions } from "../support/control-server.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { command, send, signed } from "../support/signed-request.ts";
import { ticketFolder, violation } from "../support/ticket-folder.ts";

const tikv1 = { component: "tikv1" };
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

async function started(options: Partial<TestControlOptions> = {}): Promise<TestControl & { engine: ScriptedEngine }> {
  const engine =
    (options.engine as ScriptedEngine | undefined) ??
    new ScriptedEngine(systemClock, [{ component: "tikv1" }, { component: "tikv2" }]);
  const control = await startControl({ ...options, engine });
  onTestFinished(() => control[Symbol.asyncDispose]());
  return Object.assign(control, { engine });
}

function ended(client: ControlClient, id: string): Promise<CommandReport> {
  return waitFor(
    async () => {
      const report = await client.command(id, soon());
      return report.status === "queued" || report.status === "running" ? null : report;
    },
    { clock: systemClock, timeoutMs: 30_000, everyMs: 20, what: `the end of ${id}` },
  );
}

describe("commands that nobody waits for", () => {
  test("run by the server, in the order in which they came to each container, and their end can be asked for", async () => {
    const control = await started();
    const client = control.client("compose_agent");
    const ids = [];
    for (const name of ["pause", "unpause", "restart"]) ids.push(await client.enqueue(name, tikv1, {}, soon()));
    const reports = await Promise.all(ids.map((id) => ended(client, id)));
    expect(reports.map(({ status }) => status)).toEqual(["success", "success", "success"]);
    expect(control.engine.acts).toEqual(["pause tikv1", "unpause tikv1", "restart tikv1"]);
    // The same key again is the same command.
    await client.enqueue("kill", { component: "tikv2" }, { idempotencyKey: "once" }, soon());
    await client.enqueue("kill", { component: "tikv2" }, { idempotencyKey: "once" }, soon());
    await ended(client, "once");
    expect(control.engine.acts.filter((act) => act === "kill tikv2")).toHaveLength(1);
  });

  test("more of them at once open more slots, up to the bound", async () => {
    const control = await started({ workers: { min: 1, max: 4 } });
    const gate = Promise.withResolvers<void>();
    let [running, most] = [0, 0];
    control.engine.stats = async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running -= 1;
      return { cpuCores: 0, memoryBytes: 0, memoryLimitBytes: null };
    };
    const client = control.client("compose_agent");
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) ids.push(await client.enqueue("stats", tikv1, {}, soon()));
    // Of four slots the last is kept for the other plane.
    await waitFor(() => running === 3, { clock: systemClock, timeoutMs: 20_000, everyMs: 10, what: "three at once" });
    const metrics = (await send(control, { method: "GET", target: "/metrics", headers: {}, body: "" })).text;
    expect(metrics).toContain('control_queue_depth{executor="server"} 9');
    expect(metrics).toContain('control_worker_slots{state="busy"} 3');
    gate.resolve();
    for (const id of ids) expect((await ended(client, id)).status).toBe("success");
    expect(most).toBe(3);
  });
});

describe("pollers", () => {
  test("one gets each command, at once when it comes, and what it reports is counted once", async () => {
    const control = await started({ workers: null });
    const client = control.client("status_panel");
    const waiting = [
      client.wait(20_000, soon()),
      control.client("status_panel", { agentId: "second" }).wait(1_000, soon()),
    ];
    await client.enqueue("restart", tikv1, { idempotencyKey: "q1" }, soon());
    const [one, other] = await Promise.all(waiting);
    expect([one?.command_id, other?.command_id].filter((id) => id === "q1")).toHaveLength(1);
    const owner = one === null ? control.client("status_panel", { agentId: "second" }) : client;
    const stranger = one === null ? client : control.client("status_panel", { agentId: "second" });
    const said = {
      command_id: "q1",
      status: "success",
      result: { done: 1 },
      completed_at: new Date().toISOString(),
    } as const;
    await expect(stranger.report(said, soon())).rejects.toMatchObject({ apiCode: "not-found" });
    await owner.report({ ...said, executed_by: "compose_agent" }, soon());
    await expect(owner.report(said, soon())).rejects.toMatchObject({ apiCode: "not-found" });
    expect(await client.command("q1", soon())).toMatchObject({
      status: "success",
      executed_by: "status_panel",
      result: { data: { done: 1 } },
    });
    expect(await client.health(soon())).toMatchObject({ command_metrics: { status_panel_count: 1, total_count: 1 } });
    expect(control.engine.acts).toEqual([]);
  });

  test("planes do not see each other's commands, other deployments are unknown, and an empty wait ends", async () => {
    const control = await started({ workers: null });
    await control.client("status_panel").enqueue("restart", tikv1, {}, soon());
    expect(await control.client("compose_agent").wait(50, soon())).toBeNull();
    const stranger = control.client("status_panel", { deploymentHash: "other" });
    await expect(stranger.wait(0, soon())).rejects.toMatchObject({ apiCode: "not-found" });
    const command = await control.client("status_panel").wait(0, soon());
    expect(command).toMatchObject({ name: "restart", params: tikv1, plane: "status_panel" });
  });
});

/** What a start finds that an earlier one had begun. */
describe("after a server died", () => {
  const now = systemClock.now();
  const row = (name: string, more: Partial<NewCommand> = {}): NewCommand => ({
    plane: "status_panel",
    idempotencyKey: `k-${name}`,
    commandId: `k-${name}`,
    bodyDigest: "d",
    caller: "tester",
    name,
    request: { command_id: `k-${name}`, name, params: tikv1 },
    executor: "server",
    expiresAt: (now + 600_000) as EpochMs,
    ...more,
  });

  /** A folder whose queue says so; the server that wrote it is gone. */
  async function left(fill: (queue: CommandQueue) => void): Promise<string> {
    const control = await started();
    await control.stop();
    using queue = new CommandQueue(control.home.queue, () => systemClock.now());
    fill(queue);
    return control.folder;
  }

  test("what was begun and cannot be looked up ends unknown and is never repeated", async () => {
    const folder = await left((queue) => {
      for (const name of ["restart", "kill", "recreate", "update"]) queue.begin(row(name), "gone", 1);
    });
    const control = await started({ folder });
    const client = control.client("status_panel");
    for (const name of ["restart", "kill", "recreate", "update"])
      expect(await client.command(`k-${name}`, soon())).toMatchObject({
        status: "unknown",
        error_code: "engine-failed",
      });
    // Whoever asks again under the same key learns the same.
    await control.stop();
    const again = await started({ folder, engine: control.engine });
    expect((await again.client("status_panel").command("k-restart", soon())).status).toBe("unknown");
    expect(control.engine.acts).toEqual([]);
  });

  test("what asks for a state is looked up: so = done, not so = asked for once more, changed since = unknown", async () => {
    const engine = new ScriptedEngine(systemClock, [
      { component: "tikv1" },
      { component: "tikv2" },
      { component: "tikv3" },
    ]);
    // Begun before its container was started anew: nobody can say whether it had stopped it first.
    const folder = await left((queue) => {
      queue.begin(
        row("stop", { idempotencyKey: "changed", commandId: "changed", request: asked("stop", "tikv3") }),
        "gone",
        1,
      );
    });
    await systemClock.sleep(5);
    await engine.restart("tikv3" as Component, {}, soon());
    await systemClock.sleep(5);
    {
      using queue = new CommandQueue(join(folder, "state", "queue"), () => systemClock.now());
      queue.begin(row("start"), "gone", 1);
      queue.begin(row("pause", { request: asked("pause", "tikv2") }), "gone", 1);
      queue.begin(row("unpause", { expiresAt: (now - 1) as EpochMs }), "gone", 1);
      queue.begin(row("stop", { expiresAt: (now - 1) as EpochMs }), "gone", 1);
    }
    engine.acts.length = 0;
    const control = await started({ folder, engine });
    const status = async (id: string) => (await control.client("status_panel").command(id, soon())).status;
    expect(await status("k-start")).toBe("success");
    expect(await status("k-pause")).toBe("success");
    expect(await status("k-unpause")).toBe("success");
    expect(await status("k-stop")).toBe("unknown");
    expect(await status("changed")).toBe("unknown");
    expect(engine.acts).toEqual(["pause tikv2"]);
  });

  test("what nobody had begun is run, unless who asked has lost the incident meanwhile", async () => {
    const path = join(ticketFolder(), "tickets.db");
    const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
    onTestFinished(() => tickets[Symbol.asyncDispose]());
    const { ticket } = await tickets.reportViolation(violation());
    const fence = { incident: ticket.batchKey, holder: "somebody", attempt: 3 };
    const folder = await left((queue) => {
      queue.add(row("restart"));
      const request = { command_id: "lost", name: "kill", params: tikv1, fence };
      queue.add(row("kill", { plane: "compose_agent", idempotencyKey: "lost", commandId: "lost", request }));
    });
    const control = await started({ folder, tickets });
    expect((await ended(control.client("status_panel"), "k-restart")).status).toBe("success");
    expect(await ended(control.client("compose_agent"), "lost")).toMatchObject({
      status: "failed",
      error_code: "lease-lost",
    });
    expect(control.engine.acts).toEqual(["restart tikv1"]);
  });

  function asked(name: string, component: string): object {
    return { command_id: `k-${name}`, name, params: { component } };
  }
});

describe("events", () => {
  test("a reader that comes back misses nothing, and one of an earlier start is told to begin anew", async () => {
    const control = await started();
    const panel = control.client("status_panel");
    const get = async (after: string, timeout = 0) =>
      (await panel.get(`/api/v1/events?after=${after}&timeout=${timeout}`, soon())) as {
        events: { id: string; type: string; data: Record<string, unknown> }[];
        last: string;
      };
    const begin = (await panel.get("/api/v1/events", soon())) as { last: string };
    const waiting = get(begin.last, 20);
    await control.client("compose_agent").execute("restart", tikv1, {}, soon());
    const first = await waiting;
    expect(first.events[0]).toMatchObject({
      type: "command",
      data: { name: "restart", status: "running", target: "tikv1" },
    });
    const seen = [...first.events];
    await waitFor(
      async () => {
        seen.push(...(await get(seen.at(-1)?.id ?? "", 1)).events);
        return seen.some(({ type, data }) => type === "engine" && data["action"] === "start");
      },
      { clock: systemClock, timeoutMs: 20_000, everyMs: 10, what: "the container's start among the events" },
    );
    expect((await get(begin.last)).events).toEqual(seen);
    expect((await get("0123-5")).events[0]).toMatchObject({ type: "reset" });
    // As a stream, from the same place.
    const stream = await panel.events(`/api/v1/events?after=${begin.last}`, soon());
    for await (const event of stream) {
      expect(event).toEqual(seen[0]);
      break;
    }
  });

  test("steps of a session are waited for, as the panel shows them", async () => {
    const path = join(ticketFolder(), "tickets.db");
    const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
    onTestFinished(() => tickets[Symbol.asyncDispose]());
    await tickets.reportViolation(violation());
    const incident = await tickets.claimNext({ instances: [violation().instance], holder: "a", leaseMs: 600_000 });
    const session = await tickets.startSession(incident!, { operator: "runbook", scripted: true, model: null });
    const control = await started({ tickets });
    const panel = control.client("status_panel");
    const waiting = panel.get(`/api/v1/sessions/${session}/entries?after=0&timeout=20`, soon());
    const at = systemClock.now();
    await tickets.log(session, { type: "reasoning", summary: "it hangs", startedAt: at, endedAt: at });
    expect(await waiting).toMatchObject({ entries: [{ summary: "it hangs", type: "reasoning" }] });
    expect(await panel.get("/api/v1/tickets", soon())).toMatchObject({ tickets: [{ invariant: "store_up" }] });
    expect(await panel.get("/api/v1/sessions", soon())).toMatchObject({ sessions: [{ sessionId: session }] });
    // The operator's agent sees none of it.
    for (const target of [
      "/api/v1/tickets",
      "/api/v1/sessions",
      `/api/v1/sessions/${session}/entries`,
      "/api/v1/approvals",
      "/api/v1/watchdog",
      "/api/v1/events",
    ])
      expect((await send(control, signed(control, target, null))).status).toBe(403);
  });
});

test("a command whose connection broke is sent again under its key, and done once", async () => {
  const control = await started();
  // The first transmission is answered to nobody: its sender hangs up in the middle.
  const body = command("restart", tikv1);
  const gone = new AbortController();
  const entered = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const restart = control.engine.restart.bind(control.engine);
  control.engine.restart = async (...args) => {
    entered.resolve();
    await go.promise;
    await restart(...args);
  };
  const first = fetch(`${control.server.url}/api/v1/commands/execute`, {
    ...toFetch(signed(control, "/api/v1/commands/execute", body, { key: "k" })),
    signal: gone.signal,
  }).catch(() => null);
  await entered.promise;
  gone.abort();
  await first;
  const second = send(control, signed(control, "/api/v1/commands/execute", body, { key: "k" }));
  go.resolve();
  expect((await second).json.status).toBe("success");
  expect(control.engine.acts).toEqual(["restart tikv1"]);
});

function toFetch({ method, headers, body }: ReturnType<typeof signed>) {
  return { method, headers: { ...headers }, body };
}
