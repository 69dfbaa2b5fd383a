import { request } from "node:http";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { auditIn, readAudit, verifyAudit, type AuditRecord } from "../../harness/control/audit/index.ts";
import { openTickets } from "../../tickets/index.ts";
import { startControl, type TestControl, type TestControlOptions } from "../support/control-server.ts";
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

/** Sent, and hung up on when told. */
function hangingUp(control: TestControl, { method, target, headers, body }: WireRequest): () => void {
  const { hostname, port } = new URL(control.server.url ?? "");
  const sent = request({ hostname, port, method, path: target, headers });
  sent.on("error", () => undefined);
  sent.end(body);
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
