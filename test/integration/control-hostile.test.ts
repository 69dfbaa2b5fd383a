import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import Sqlite from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { EngineError } from "../../harness/base/errors.ts";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { auditIn, readAudit, verifyAudit, type AuditRecord } from "../../harness/control/audit/index.ts";
import { AuditError } from "../../harness/control/audit/errors.ts";
import type { Plane } from "../../harness/control/planes.ts";
import { TokenError } from "../../harness/control/tokens/index.ts";
import { openTickets } from "../../tickets/index.ts";
import { DEPLOYMENT, startControl, type TestControl, type TestControlOptions } from "../support/control-server.ts";
import { MemoryTokens } from "../support/memory-tokens.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { command, send, signed, type WireRequest } from "../support/signed-request.ts";
import { ticketFolder, violation } from "../support/ticket-folder.ts";

const EXECUTE = "/api/v1/commands/execute";
const ENQUEUE = "/api/v1/commands/enqueue";
const tikv1 = { component: "tikv1" };

async function started(options: Partial<TestControlOptions> = {}): Promise<TestControl & { engine: ScriptedEngine }> {
  const engine =
    (options.engine as ScriptedEngine | undefined) ??
    new ScriptedEngine(systemClock, [{ component: "tikv1" }, { component: "tikv2" }]);
  const control = await startControl({ ...options, engine });
  onTestFinished(() => control[Symbol.asyncDispose]());
  return Object.assign(control, { engine });
}

const audited = (control: TestControl): readonly AuditRecord[] => {
  using trail = auditIn(control.home, "compose-agent");
  expect(verifyAudit(trail).findings).toEqual([]);
  return [...readAudit(trail)];
};

const until = (check: () => boolean | Promise<boolean>, what: string) =>
  waitFor(async () => (await check()) || null, { clock: systemClock, timeoutMs: 20_000, everyMs: 10, what });

const plain = (target: string): WireRequest => ({ method: "GET", target, headers: {}, body: "" });

/** Sent, and hung up on when told. */
function hangingUp(control: TestControl, { method, target, headers, body }: WireRequest): () => void {
  const { hostname, port } = new URL(control.server.url ?? "");
  const sent = request({ hostname, port, method, path: target, headers });
  sent.on("error", () => undefined);
  sent.end(body);
  return () => void sent.destroy();
}

/** Sent, and known to be answered for as long as it stays open; ends it when told. */
async function opened(control: TestControl, { method, target, headers }: WireRequest): Promise<() => void> {
  const { hostname, port } = new URL(control.server.url ?? "");
  const sent = request({ hostname, port, method, path: target, headers }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  sent.on("error", () => undefined);
  answer.on("error", () => undefined).resume();
  expect(answer.statusCode).toBe(200);
  return () => void sent.destroy();
}

/** Restarts that take until they are let go. */
function heldRestarts(engine: ScriptedEngine) {
  const [gate, begun] = [Promise.withResolvers<void>(), [] as string[]];
  const restart = engine.restart.bind(engine);
  engine.restart = async (component, options, signal) => {
    begun.push(component);
    await gate.promise;
    await restart(component, options, signal);
  };
  onTestFinished(() => gate.resolve());
  return { begun, release: () => gate.resolve() };
}

describe("one plane cannot keep the other out", () => {
  test("however many commands of the agent run or wait, a person's are carried out at once", async () => {
    const control = await started({ workers: { min: 1, max: 3 } });
    const { begun, release } = heldRestarts(control.engine);
    const agent = ["tikv1", "tikv1", "tikv1", "tikv2", "tikv2"].map((component) =>
      send(control, signed(control, EXECUTE, command("restart", { component }))),
    );
    await until(() => begun.length > 0, "the first restart");
    const person = (name: string, params: object) =>
      send(control, signed(control, EXECUTE, command(name, params), { plane: "status_panel" }));
    expect((await person("list", {})).json.status).toBe("success");
    expect((await person("server_resources", {})).json.status).toBe("success");
    release();
    for (const { json } of await Promise.all(agent)) expect(json.status).toBe("success");
  });

  test("a queue that the agent has filled still takes a person's command, and runs it next", async () => {
    const control = await started({ workers: { min: 1, max: 1 }, limits: { queued: 5 } });
    const { begun, release } = heldRestarts(control.engine);
    const ask = (plane: "compose_agent" | "status_panel", component: string) =>
      send(control, signed(control, ENQUEUE, command("restart", { component }), { plane }));
    for (let n = 0; n < 6; n++) expect((await ask("compose_agent", "tikv1")).status).toBe(202);
    expect((await ask("compose_agent", "tikv1")).json.code).toBe("rate-limited");
    expect((await ask("status_panel", "tikv2")).status).toBe(202);
    release();
    await until(() => begun.length === 7, "all of them");
    expect(begun.slice(0, 2)).toEqual(["tikv1", "tikv2"]);
  });
});

test("who sends a read again after hanging up gets the answer, not that it hung up", async () => {
  const control = await started();
  let asked = 0;
  control.engine.stats = async (_, signal) => {
    asked += 1;
    if (asked === 1)
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    return { cpuCores: 1, memoryBytes: 1, memoryLimitBytes: null };
  };
  const body = command("stats", tikv1);
  const hangUp = hangingUp(control, signed(control, EXECUTE, body, { key: "again" }));
  await until(() => asked === 1, "the first reading");
  const joined = send(control, signed(control, EXECUTE, body, { key: "again" }));
  hangUp();
  expect((await joined).json).toMatchObject({ status: "success", result: { data: { cpuCores: 1 } } });
  expect((await send(control, signed(control, EXECUTE, body, { key: "again" }))).text).toBe((await joined).text);
  expect(asked).toBe(2);
});

describe("a disk that takes no more", () => {
  /** SQLite refuses as it does when the disk is full, until it is told otherwise. */
  function fullQueue(control: TestControl, when: "INSERT" | "UPDATE") {
    using db = { db: new Sqlite(join(control.home.queue, "queue.db")), [Symbol.dispose]: () => db.db.close() };
    const which = when === "UPDATE" ? "WHEN NEW.state = 'done'" : "";
    db.db.exec(
      `CREATE TRIGGER full BEFORE ${when} ON commands ${which} BEGIN SELECT RAISE(ABORT, 'disk is full'); END`,
    );
    return () => {
      using again = { db: new Sqlite(join(control.home.queue, "queue.db")), [Symbol.dispose]: () => again.db.close() };
      again.db.exec("DROP TRIGGER full");
    };
  }

  test("an act whose end cannot be written is told as it was, ends in the audit, and nothing else begins before", async () => {
    const control = await started();
    const release = fullQueue(control, "UPDATE");
    const body = command("restart", tikv1);
    const first = await send(control, signed(control, EXECUTE, body, { key: "k" }));
    expect(first.json).toMatchObject({ status: "success" });
    expect((await send(control, signed(control, EXECUTE, body, { key: "k" }))).text).toBe(first.text);
    const asked = await send(control, signed(control, `/api/v1/commands/${first.json.command_id}`, null));
    expect(asked.json.status).toBe("success");
    expect((await send(control, signed(control, EXECUTE, command("pause", tikv1)))).json.code).toBe("unavailable");
    expect((await send(control, signed(control, EXECUTE, command("list")))).json.status).toBe("success");
    expect((await send(control, plain("/health"))).json).toMatchObject({ status: "degraded", queue: { owed: 1 } });
    release();
    expect((await send(control, signed(control, EXECUTE, command("pause", tikv1)))).json.status).toBe("success");
    expect(control.engine.acts).toEqual(["restart tikv1", "pause tikv1"]);
    await control.stop();
    const again = await started({ engine: control.engine, folder: control.folder });
    expect((await send(again, signed(again, EXECUTE, body, { key: "k" }))).text).toBe(first.text);
    expect(audited(again).filter(({ kind }) => kind === "outcome").length).toBe(
      audited(again).filter(({ kind }) => kind === "intent").length,
    );
  });

  test("without an intent on disk nothing is done, and the audit says so once", async () => {
    const control = await started();
    const release = fullQueue(control, "INSERT");
    const body = command("restart", tikv1);
    const refused = await send(control, signed(control, EXECUTE, body, { key: "k" }));
    expect(refused).toMatchObject({ status: 503, json: { code: "unavailable" } });
    expect(refused.text).not.toMatch(/disk|sqlite|queue\.db|\//i);
    expect(control.engine.acts).toEqual([]);
    expect(audited(control).map((line) => (line.kind === "outcome" ? line.verdict : line.kind))).toEqual([
      "intent",
      "refused",
    ]);
    release();
    expect((await send(control, signed(control, EXECUTE, body, { key: "k" }))).json.status).toBe("success");
  });
});

test("one key used by execute and enqueue at once: one of them, and no failure of the server", async () => {
  const control = await started();
  for (let n = 0; n < 10; n++) {
    const body = command("restart", tikv1);
    const answers = await Promise.all(
      [EXECUTE, ENQUEUE, EXECUTE].map((target) => send(control, signed(control, target, body, { key: `k${n}` }))),
    );
    for (const { status } of answers) expect([200, 202, 422]).toContain(status);
  }
  await until(async () => (await send(control, signed(control, "/health", null))).json.queue.server === 0, "the end");
  expect(control.engine.acts).toHaveLength(10);
});

test("a poller gets no write of an agent that has lost the incident meanwhile", async () => {
  const path = join(ticketFolder(), "tickets.db");
  const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  const { ticket } = await tickets.reportViolation(violation());
  const control = await started({ workers: null, tickets });
  const fence = { incident: ticket.batchKey, holder: "somebody", attempt: 3 };
  for (const [name, id] of [
    ["restart", "lost"],
    ["list", "look"],
  ] as const) {
    const params = name === "list" ? {} : tikv1;
    const body = { command_id: id, name, params, fence };
    expect((await send(control, signed(control, ENQUEUE, body))).status).toBe(202);
  }
  const agent = control.client("compose_agent");
  expect(await agent.wait(5_000, AbortSignal.timeout(20_000))).toMatchObject({ command_id: "look" });
  expect(await agent.command("lost", AbortSignal.timeout(20_000))).toMatchObject({
    status: "failed",
    error_code: "lease-lost",
  });
  expect(audited(control)).toContainEqual(expect.objectContaining({ commandId: "lost", verdict: "refused" }));
});

describe("what callers are told", () => {
  test("metrics are there when the ticket file is away, and count once however many ask at the same time", async () => {
    const path = join(ticketFolder(), "tickets.db");
    const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
    const at = systemClock.now();
    const state = { state: "unhealthy", reason: "exited with 1", attempts: 5, maxAttempts: 5, gaveUp: true } as const;
    await tickets.watchdog.record(
      {
        ...state,
        deployment: DEPLOYMENT,
        component: "agent",
        legacy: false,
        nextAttemptAt: null,
        lookedAt: at,
        everyMs: 9,
      },
      {},
      [{ at, kind: "gave-up", state: "unhealthy", reason: "five attempts", attempt: 5 }],
    );
    const control = await started({ tickets });
    const scrape = () => send(control, plain("/metrics"));
    for (const { text } of await Promise.all(Array.from({ length: 20 }, scrape)))
      expect(text).toContain('control_watchdog_events_total{component="agent",kind="gave-up"} 1');
    await tickets[Symbol.asyncDispose]();
    const away = await scrape();
    expect([away.status, away.text.includes("control_queue_depth")]).toEqual([200, true]);
  });

  test("people read what went wrong; the agent and strangers no paths of this machine", async () => {
    const provider = new MemoryTokens();
    const control = await started({ provider });
    provider.failure = new TokenError("permissions", "cannot use /home/somebody/tokens");
    const rotate = (plane: Plane) => send(control, signed(control, "/api/v1/auth/rotate-token", {}, { plane }));
    expect((await rotate("status_panel")).json).toMatchObject({
      code: "unavailable",
      error: expect.stringContaining("somebody"),
    });
    const agent = await rotate("compose_agent");
    expect(agent).toMatchObject({ status: 503, json: { code: "unavailable" } });
    expect(agent.text).not.toContain("/");
    control.engine.broken = new EngineError("engine-unreachable", "no answer at /home/somebody/engine.sock");
    const list = (plane: Plane) => send(control, signed(control, EXECUTE, command("list"), { plane }));
    expect((await list("status_panel")).text).toContain("somebody");
    expect((await list("compose_agent")).json).toMatchObject({ status: "failed", error_code: "engine-unreachable" });
    expect((await list("compose_agent")).text).not.toContain("somebody");
  });

  test("an audit that cannot be written stops rotations and decisions too, and says so by its code", async () => {
    const control = await started({
      wrapAudit: (trail) => ({ ...trail, event: () => Promise.reject(new AuditError("cannot write /var/audit")) }),
    });
    const before = control.tokens.current("compose_agent")?.token;
    const answer = await send(control, signed(control, "/api/v1/auth/rotate-token", {}));
    expect(answer).toMatchObject({ status: 503, json: { code: "audit-failed" } });
    expect(answer.text).not.toContain("/var");
    expect(control.tokens.current("compose_agent")?.token).toBe(before);
  });

  test("a body that is nested by the thousand is refused, also as a poller's result", async () => {
    const control = await started({ workers: null });
    const nested = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
    expect((await send(control, signed(control, EXECUTE, nested))).json.code).toBe("malformed");
    await send(control, signed(control, ENQUEUE, { command_id: "c", name: "list" }));
    await control.client("compose_agent", { agentId: "tester" }).wait(5_000, AbortSignal.timeout(20_000));
    const report = `{"command_id":"c","status":"success","completed_at":"now","result":${nested}}`;
    const told = await send(control, signed(control, "/api/v1/commands/report", report));
    expect(told).toMatchObject({ status: 400, json: { code: "malformed" } });
  });
});

describe("what stays open", () => {
  test("so many of one plane and no more; who leaves makes room, and the other plane has its own", async () => {
    const control = await started({ limits: { openRequests: 2 } });
    const stream = () => signed(control, "/api/v1/engine/events", null);
    const leave = [await opened(control, stream()), await opened(control, stream())];
    expect((await send(control, stream())).json.code).toBe("rate-limited");
    const person = signed(control, `/api/v1/commands/wait/${DEPLOYMENT}?timeout=0`, null, { plane: "status_panel" });
    expect((await send(control, person)).status).toBe(204);
    for (const go of leave) go();
    const short = () => signed(control, `/api/v1/commands/wait/${DEPLOYMENT}?timeout=0`, null);
    await until(async () => (await send(control, short())).status === 204, "room again");
  });

  test("a stream whose reader does not read ends, and holds nothing more", async () => {
    const control = await started();
    const [over, padding] = [Promise.withResolvers<number>(), "x".repeat(4_000)];
    control.engine.events = async function* (signal: AbortSignal) {
      let told = 0;
      try {
        for (; !signal.aborted; told++) {
          if (told % 50 === 0) await setImmediate();
          yield { at: systemClock.now(), padding } as never;
        }
      } finally {
        over.resolve(told);
      }
    };
    const { hostname, port } = new URL(control.server.url ?? "");
    const { target, headers } = signed(control, "/api/v1/engine/events", null);
    const silent = connect(Number(port), hostname);
    onTestFinished(() => void silent.destroy());
    silent.on("error", () => undefined).pause();
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    silent.write(`GET ${target} HTTP/1.1\r\nhost: x\r\n${lines.join("")}\r\n`);
    expect(await over.promise).toBeGreaterThan(1_000);
  });

  test("an engine that does not heed its signal is left behind: slot and container are free again", async () => {
    // Fifty times as fast, since it is all about waiting.
    const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 50, signal) };
    const control = await started({ clock, workers: { min: 1, max: 1 } });
    control.engine.disconnect = () => new Promise(() => undefined);
    const hung = await send(control, signed(control, EXECUTE, command("disconnect", tikv1)));
    expect(hung.json).toMatchObject({ status: "unknown", error_code: "timeout" });
    expect((await send(control, signed(control, EXECUTE, command("pause", tikv1)))).json.status).toBe("success");
  });
});
