import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { auditIn, readAudit, verifyAudit, type AuditRecord } from "../../harness/control/audit/index.ts";
import { openControlEngine } from "../../harness/control/client/index.ts";
import type { Component, Incident, InstanceId } from "../../harness/protocol.ts";
import { callDigest, openTickets, type Tickets } from "../../tickets/index.ts";
import { startControl, type TestControl, type TestControlOptions } from "../support/control-server.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { command, send, signed } from "../support/signed-request.ts";
import { CLUSTER, ticketFolder, violation } from "../support/ticket-folder.ts";

const EXECUTE = "/api/v1/commands/execute";
const tikv1 = { component: "tikv1" };
const newEngine = (): ScriptedEngine =>
  new ScriptedEngine(systemClock, [
    { component: "tikv1", prints: [{ stream: "stdout", text: "ready" }] },
    { component: "tikv2" },
    { component: "pd0", exec: async (argv) => ({ exitCode: 0, stdout: `${argv[1] ?? ""}\n`, stderr: "" }) },
  ]);

async function started(options: Partial<TestControlOptions> = {}): Promise<TestControl & { engine: ScriptedEngine }> {
  const engine = (options.engine as ScriptedEngine | undefined) ?? newEngine();
  const control = await startControl({ ...options, engine });
  onTestFinished(() => control[Symbol.asyncDispose]());
  return Object.assign(control, { engine });
}

const audited = (control: TestControl): readonly AuditRecord[] => {
  using trail = auditIn(control.home, "compose-agent");
  return [...readAudit(trail)];
};

describe("what is refused, in this order", () => {
  test("413 before everything, then the signature, the nonce, the scope, the rate", async () => {
    const control = await started({ limits: { bodyBytes: 2_000, requestsPerSecond: 0.001, burst: 3 } });
    const large = { ...signed(control, EXECUTE, "x".repeat(3_000)), headers: {} };
    expect((await send(control, large)).json.code).toBe("too-large");
    // Nobody says how long this one is, and there is more of it than goes over a wire at once.
    const endless = { ...large, headers: { "transfer-encoding": "chunked" }, body: "x".repeat(2_000_000) };
    expect(await send(control, endless)).toMatchObject({ status: 413, json: { code: "too-large" } });
    expect((await send(control, { ...large, body: "{}" })).json).toMatchObject({ code: "signature-missing" });
    const good = signed(control, EXECUTE, command("list"));
    expect((await send(control, { ...good, body: good.body.replace("list", "kill") })).json.code).toBe(
      "signature-invalid",
    );
    expect((await send(control, good)).status).toBe(200);
    expect(await send(control, good)).toMatchObject({
      status: 409,
      json: { error: "replay detected", code: "nonce-seen" },
    });
    // Two left: one for a scope that it lacks, which is looked at before the rate.
    const panel = signed(control, EXECUTE, command("recreate", tikv1), { plane: "status_panel" });
    expect((await send(control, panel)).json.code).toBe("scope-missing");
    for (let n = 0; n < 2; n++)
      expect((await send(control, signed(control, EXECUTE, command("list")))).status).toBe(200);
    const over = await send(control, signed(control, EXECUTE, command("list")));
    expect(over).toMatchObject({ status: 429, json: { code: "rate-limited" } });
    expect(Number(over.headers["retry-after"])).toBeGreaterThan(0);
    // Of the agent's plane alone: people are not locked out by it.
    expect((await send(control, signed(control, EXECUTE, command("list"), { plane: "status_panel" }))).status).toBe(
      200,
    );
    expect(control.engine.acts).toEqual([]);
  });

  test("every part of a request is signed", async () => {
    const control = await started();
    const request = signed(control, `${EXECUTE}?a=1`, command("restart", tikv1));
    const other = control.tokens.current("status_panel")?.token ?? "";
    const forged = [
      { ...request, target: EXECUTE },
      { ...request, target: `${EXECUTE}?a=2` },
      { ...request, target: `/api/v1/commands/enqueue?a=1` },
      { ...request, body: request.body.replace("tikv1", "tikv2") },
      ...[
        "x-agent-id",
        "x-timestamp",
        "x-nonce",
        "idempotency-key",
        "x-server-id",
        "x-boot-epoch",
        "x-agent-signature",
      ].map((name) => ({ ...request, headers: { ...request.headers, [name]: changed(request.headers[name] ?? "") } })),
      { ...request, headers: { ...request.headers, "x-control-plane": "status_panel" } },
      // The other plane's token under this plane's name, and this plane's under the other's.
      signed(control, EXECUTE, command("restart", tikv1), { token: other }),
      signed(control, EXECUTE, command("restart", tikv1), { parts: { fingerprint: "0123456789abcdef" } }),
    ];
    for (const each of forged) expect((await send(control, each)).status, JSON.stringify(each.headers)).toBe(401);
    expect(control.engine.acts).toEqual([]);
    expect((await send(control, request)).status).toBe(200);
    const text = (await send(control, { method: "GET", target: "/metrics", headers: {}, body: "" })).text;
    expect(text).toMatch(/control_auth_failures_total\{reason="signature-invalid"\} \d+/);
    expect(text).toContain('control_auth_failures_total{reason="key-unknown"} 3');
  });

  test("a clock that is too far off; the token itself is in no request", async () => {
    const control = await started();
    for (const timestampMs of [Date.now() - 121_000, Date.now() + 121_000])
      expect(
        (await send(control, signed(control, EXECUTE, command("list"), { parts: { timestampMs } }))).json.code,
      ).toBe("timestamp-skew");
    const request = signed(control, EXECUTE, command("list"));
    expect(JSON.stringify(request)).not.toContain(control.tokens.current("compose_agent")?.token);
  });

  test("a capture sent again after a restart, and at a sibling with the same tokens", async () => {
    const first = await started();
    const captured = signed(first, EXECUTE, command("restart", tikv1));
    await first.stop();
    const second = await started({ engine: first.engine, folder: first.folder });
    const stale = await send(second, captured);
    expect(stale).toMatchObject({ status: 401, json: { code: "stale-epoch", boot_epoch: second.server.bootEpoch } });
    expect(second.server.serverId).toBe(first.server.serverId);
    // A sibling that lets the same tokens in is another server all the same.
    const sibling = await started({ engine: first.engine, stateDir: join(ticketFolder(), "queue") });
    const asSibling = { ...sibling, tokens: second.tokens, server: second.server };
    expect(sibling.server.serverId).not.toBe(second.server.serverId);
    const atSibling = signed(asSibling, EXECUTE, command("restart", tikv1), {
      token: sibling.tokens.current("compose_agent")?.token ?? "",
    });
    expect((await send(sibling, atSibling)).json.code).toBe("stale-epoch");
    expect(first.engine.acts).toEqual([]);
    // The client signs once more with what it was told.
    const report = await second.client("compose_agent").execute("restart", tikv1, {}, AbortSignal.timeout(10_000));
    expect(report.status).toBe("success");
  });

  test("what is no command, and containers that are none of the subject's", async () => {
    const control = await started();
    const bad: [object | string, string][] = [
      ["{bad", "malformed"],
      [command("rm -rf /"), "unknown-command"],
      [command("__proto__"), "unknown-command"],
      [command("restart", { component: "../tikv1" }), "malformed"],
      [command("restart", { ...tikv1, more: 1 }), "malformed"],
      [{ name: "list" }, "malformed"],
    ];
    for (const [body, code] of bad) {
      const answer = await send(control, signed(control, EXECUTE, body));
      expect(answer).toMatchObject({ status: 400, json: { code } });
    }
    const nobody = await send(control, signed(control, EXECUTE, command("inspect", { component: "nope" })));
    expect(nobody).toMatchObject({ status: 200, json: { status: "failed", error_code: "not-found" } });
    const refusedLines = audited(control).filter((line) => line.kind === "outcome" && line.verdict === "refused");
    expect(refusedLines).toHaveLength(bad.length);
  });

  test("nothing runs while the audit cannot be written, and the key is not used up", async () => {
    const failing = { on: true };
    const control = await started();
    await control.stop();
    const engine = newEngine();
    const folder = control.folder;
    const again = await startControl({
      engine,
      folder,
      wrapAudit: (trail) => ({
        ...trail,
        intent: (entry) => (failing.on ? Promise.reject(new Error("no space left")) : trail.intent(entry)),
      }),
    });
    onTestFinished(() => again[Symbol.asyncDispose]());
    const body = command("restart", tikv1);
    const answer = await send(again, signed(again, EXECUTE, body, { key: "k1" }));
    expect(answer).toMatchObject({ status: 503, json: { code: "audit-failed" } });
    expect(engine.acts).toEqual([]);
    failing.on = false;
    expect((await send(again, signed(again, EXECUTE, body, { key: "k1" }))).json.status).toBe("success");
  });
});

const changed = (value: string): string => (value.endsWith("1") ? `${value.slice(0, -1)}2` : `${value.slice(0, -1)}1`);

describe("idempotency", () => {
  test("same key and body: the first answer; another body: 422; a new key runs again", async () => {
    const control = await started();
    const body = command("restart", tikv1);
    const first = await send(control, signed(control, EXECUTE, body, { key: "k1" }));
    expect(first.json).toMatchObject({ status: "success", executed_by: "compose_agent" });
    expect((await send(control, signed(control, EXECUTE, body, { key: "k1" }))).json).toEqual(first.json);
    expect((await send(control, signed(control, EXECUTE, command("kill", tikv1), { key: "k1" }))).status).toBe(422);
    expect(control.engine.acts).toEqual(["restart tikv1"]);
    await send(control, signed(control, EXECUTE, body, { key: "k2" }));
    expect(control.engine.acts).toHaveLength(2);
    // Keys of one plane are none of the other's business.
    const panel = await send(control, signed(control, EXECUTE, body, { key: "k1", plane: "status_panel" }));
    expect(panel.json.status).toBe("success");
    expect(control.engine.acts).toHaveLength(3);
  });

  test("transmissions that come together, and one after a restart, get the one answer", async () => {
    const control = await started();
    const body = command("restart", tikv1);
    const all = await Promise.all(
      Array.from({ length: 8 }, () => send(control, signed(control, EXECUTE, body, { key: "k" }))),
    );
    expect(new Set(all.map(({ text }) => text)).size).toBe(1);
    await control.stop();
    const again = await started({ engine: control.engine, folder: control.folder });
    expect((await send(again, signed(again, EXECUTE, body, { key: "k" }))).text).toBe(all[0]?.text);
    expect(control.engine.acts).toEqual(["restart tikv1"]);
  });

  test("403 and 429 do not use a key up; reads have their first answer too", async () => {
    // Quotas fill with time, which stands still here until it is moved.
    let elapsedMs = 0;
    const clock = { ...systemClock, monotonic: () => elapsedMs };
    const control = await started({ clock, limits: { requestsPerSecond: 1, burst: 1 } });
    const [body, list] = [command("restart", tikv1), command("list")];
    const ask = (what: object, key: string) => send(control, signed(control, EXECUTE, what, { key }));
    const first = await ask(list, "r");
    expect(first.json.status).toBe("success");
    expect((await ask(body, "k")).status).toBe(429);
    elapsedMs += 1_000;
    expect((await ask(body, "k")).json.status).toBe("success");
    elapsedMs += 1_000;
    expect((await ask(list, "r")).text).toBe(first.text);
    elapsedMs += 1_000;
    expect((await ask(command("kill", tikv1), "r")).status).toBe(422);
    expect(control.engine.acts).toEqual(["restart tikv1"]);
  });
});

describe("the agent's plane", () => {
  test("observe mode: reads only, also when queued; people's writes are theirs", async () => {
    const control = await started({ mode: "observe" });
    const exec = (argv: string[]) => command("exec", { component: "pd0", argv });
    expect((await send(control, signed(control, EXECUTE, command("restart", tikv1)))).json.code).toBe("observe-mode");
    const queued = await send(control, signed(control, "/api/v1/commands/enqueue", command("restart", tikv1)));
    expect(queued.json.code).toBe("observe-mode");
    expect((await send(control, signed(control, EXECUTE, exec(["rm", "-rf", "/data"])))).json.code).toBe(
      "observe-mode",
    );
    expect((await send(control, signed(control, EXECUTE, exec(["df", "-h"])))).json.result.stdout).toBe("-h\n");
    const person = signed(control, EXECUTE, command("restart", tikv1), { plane: "status_panel" });
    expect((await send(control, person)).json.status).toBe("success");
    const engine = await openControlEngine({ client: control.client("compose_agent") }, AbortSignal.timeout(10_000));
    await expect(engine.start("tikv1" as Component, AbortSignal.timeout(5_000))).rejects.toMatchObject({
      code: "not-supported",
    });
  });

  test("a write names its claim; one that was lost meanwhile, and one of another cluster, are refused", async () => {
    const { tickets, incident } = await claimed();
    const control = await started({ tickets });
    const { batchKey, holder, attempt } = incident;
    const write = (fence: object | null) =>
      send(control, signed(control, EXECUTE, command("restart", tikv1, { fence })));
    const good = { incident: batchKey, holder, attempt };
    expect(await write(null)).toMatchObject({ status: 409, json: { code: "lease-lost" } });
    expect((await write({ ...good, attempt: attempt - 1 })).json.code).toBe("lease-lost");
    expect((await write({ ...good, holder: "somebody" })).json.code).toBe("lease-lost");
    expect((await write(good)).json.status).toBe("success");
    // Reads need no claim, and people none at all.
    expect((await send(control, signed(control, EXECUTE, command("list")))).status).toBe(200);
    const person = signed(control, EXECUTE, command("restart", { component: "tikv2" }), { plane: "status_panel" });
    expect((await send(control, person)).json.status).toBe("success");
    const [ticket] = await tickets.list();
    await send(
      control,
      signed(control, EXECUTE, command("ticket_hold", { ticket: ticket?.id }), { plane: "status_panel" }),
    );
    expect((await write(good)).json).toMatchObject({ code: "lease-lost" });
    expect(control.engine.acts).toEqual(["restart tikv1", "restart tikv2"]);
    const elsewhere = await started({ tickets, instance: "ffffffff00000000" as InstanceId });
    await tickets.unhold(ticket?.id ?? 0);
    const next = await claim(tickets);
    const fence = { incident: next.batchKey, holder: next.holder, attempt: next.attempt };
    const wrong = await send(elsewhere, signed(elsewhere, EXECUTE, command("restart", tikv1, { fence })));
    expect(wrong.json).toMatchObject({ code: "lease-lost", error: "that incident is of another cluster" });
  });

  test("mode propose: a person's yes to exactly this call, once", async () => {
    const { tickets, incident } = await claimed();
    const control = await started({ tickets, mode: "propose" });
    const { batchKey, holder, attempt } = incident;
    const fence = { incident: batchKey, holder, attempt };
    const input = { component: "tikv1", grace_seconds: 5, reason: "it does not answer at all" };
    const { id } = await tickets.approvals.request({
      claim: incident,
      instance: incident.instance,
      sessionId: null,
      operator: "test",
      tool: "container_restart",
      input,
      effect: "write",
      state: {},
      timeoutMs: 60_000,
    });
    const params = { component: "tikv1", grace_ms: 5_000 };
    const write = (name: string, asked: object, approval: object | null = { id }) =>
      send(control, signed(control, EXECUTE, command(name, asked, { fence, approval })));
    expect((await write("restart", params, null)).json.code).toBe("approval-required");
    expect((await write("restart", params)).json.code).toBe("approval-invalid");
    // The panel answers through the API.
    const shown = await control
      .client("status_panel")
      .get("/api/v1/approvals?status=waiting", AbortSignal.timeout(5_000));
    expect(shown).toMatchObject({ approvals: [{ id, tool: "container_restart" }] });
    const yes = { decision: "approve", by: "panel:anna", call_digest: callDigest("container_restart", input) };
    await control.client("status_panel").post(`/api/v1/approvals/${id}`, yes, AbortSignal.timeout(5_000));
    await tickets.approvals.use(id, { claim: incident, callDigest: yes.call_digest, state: {} });
    expect((await write("restart", { component: "tikv2", grace_ms: 5_000 })).json.code).toBe("approval-invalid");
    expect((await write("kill", { component: "tikv1" })).json.code).toBe("approval-invalid");
    expect((await write("restart", params, { id, digest: "other" })).json.code).toBe("approval-invalid");
    expect((await write("restart", params)).json.status).toBe("success");
    expect((await write("restart", params)).json.code).toBe("approval-invalid");
    expect(control.engine.acts).toEqual(["restart tikv1"]);
    // Only people decide.
    const agent = signed(control, `/api/v1/approvals/${id}`, yes);
    expect((await send(control, agent)).json.code).toBe("scope-missing");
  });
});

describe("counts, health and metrics", () => {
  test("count what was carried out, by who asked, and nothing else", async () => {
    const control = await started();
    const counts = async () =>
      (await send(control, { method: "GET", target: "/api/v1/diagnostics/commands", headers: {}, body: "" })).json;
    expect(await counts()).toMatchObject({ total_count: 0, last_control_plane: null });
    await send(control, signed(control, EXECUTE, command("restart", tikv1)));
    await send(control, signed(control, EXECUTE, command("list"), { plane: "status_panel" }));
    await send(control, signed(control, EXECUTE, command("recreate", tikv1), { plane: "status_panel" }));
    // A report about what nobody took is refused and counts nothing.
    const report = {
      command_id: "q1",
      status: "success",
      completed_at: "2026-11-21T00:00:00Z",
      executed_by: "compose_agent",
    };
    expect((await send(control, signed(control, "/api/v1/commands/report", report))).status).toBe(404);
    expect(await counts()).toMatchObject({
      status_panel_count: 1,
      compose_agent_count: 1,
      total_count: 2,
      last_control_plane: "status_panel",
    });
    const health = await send(control, { method: "GET", target: "/health", headers: {}, body: "" });
    expect(health.json).toMatchObject({ status: "ok", last_refresh_ok: true, command_metrics: { total_count: 2 } });
    const metrics = (await send(control, { method: "GET", target: "/metrics", headers: {}, body: "" })).text;
    expect(metrics).toContain('control_commands_total{plane="compose_agent",command="restart",outcome="success"} 1');
    expect(metrics).toContain('control_commands_total{plane="status_panel",command="recreate",outcome="refused"} 1');
    for (const name of [
      "control_command_duration_seconds_bucket",
      "control_token_age_seconds",
      "control_token_rotations_total",
      "control_queue_depth",
      "control_worker_slots",
    ])
      expect(metrics).toContain(name);
  });

  test("an engine that is gone shows in capabilities and health, and comes back", async () => {
    const control = await started();
    const get = async (target: string) => (await send(control, { method: "GET", target, headers: {}, body: "" })).json;
    expect(await get("/capabilities")).toMatchObject({
      compose_agent: true,
      control_plane: "compose_agent",
      version: "0.0.0",
    });
    control.engine.broken = new Error("gone");
    const until = (wanted: boolean) =>
      waitFor(async () => (await get("/capabilities")).compose_agent === wanted, {
        clock: systemClock,
        timeoutMs: 20_000,
        everyMs: 100,
        what: "the probe to see it",
      });
    await until(false);
    expect((await get("/capabilities")).features).not.toContain("restart");
    expect((await get("/health")).status).toBe("degraded");
    control.engine.broken = null;
    await until(true);
    expect((await get("/capabilities")).features).toContain("restart");
  });

  test("the watchdog's state, attempts and give-ups are among the metrics and at their endpoint", async () => {
    const { tickets } = await claimed();
    const control = await started({ tickets });
    const at = systemClock.now();
    await tickets.watchdog.record(
      {
        deployment: "deploy1",
        component: "agent",
        state: "unhealthy",
        reason: "exited with 1",
        attempts: 5,
        maxAttempts: 5,
        gaveUp: true,
        legacy: false,
        nextAttemptAt: null,
        lookedAt: at,
        everyMs: 30_000,
      },
      {},
      [{ at, kind: "gave-up", state: "unhealthy", reason: "five attempts", attempt: 5 }],
    );
    const metrics = (await send(control, { method: "GET", target: "/metrics", headers: {}, body: "" })).text;
    expect(metrics).toContain('control_watchdog_state{component="agent",state="unhealthy"} 1');
    expect(metrics).toContain('control_watchdog_attempts{component="agent"} 5');
    expect(metrics).toContain('control_watchdog_give_ups_total{component="agent"} 1');
    const seen = await control.client("status_panel").get("/api/v1/watchdog", AbortSignal.timeout(5_000));
    expect(seen).toMatchObject({ targets: [{ component: "agent", gaveUp: true }], events: [{ kind: "gave-up" }] });
  });
});

describe("audit", () => {
  test("two lines for each command, refused ones too, in a chain that holds", async () => {
    const control = await started();
    const body = command("restart", tikv1, { reason: "it hangs" });
    await send(control, signed(control, EXECUTE, body));
    await send(control, signed(control, EXECUTE, command("stop", { component: "nope" })));
    await send(control, signed(control, EXECUTE, command("recreate", tikv1), { plane: "status_panel" }));
    const lines = audited(control).filter(({ kind }) => kind !== "event");
    expect(
      lines.map((line) => [
        line.kind,
        "command" in line ? line.command : null,
        "verdict" in line ? line.verdict : null,
      ]),
    ).toEqual([
      ["intent", "restart", null],
      ["outcome", "restart", "ok"],
      ["intent", "stop", null],
      ["outcome", "stop", "failed"],
      ["intent", "recreate", null],
      ["outcome", "recreate", "refused"],
    ]);
    expect(lines[0]).toMatchObject({
      plane: "compose_agent",
      caller: "tester",
      target: "tikv1",
      effect: "write",
      params: { reason: "it hangs" },
    });
    await control.stop();
    const trail = auditIn(control.home, "compose-agent");
    expect(verifyAudit(trail).findings).toEqual([]);
    trail[Symbol.dispose]();
    expect(
      readFileSync(join(control.home.queue, "queue.db")).includes(
        control.tokens.current("compose_agent")?.token ?? "-",
      ),
    ).toBe(false);
  });
});

test("every endpoint of the document is served, and asks for a signature where it says so", async () => {
  const control = await started();
  const document = (await send(control, { method: "GET", target: "/openapi.json", headers: {}, body: "" })).json;
  const paths = Object.entries(document.paths as Record<string, Record<string, Record<string, unknown>>>);
  expect(paths.length).toBeGreaterThan(15);
  for (const [path, methods] of paths)
    for (const [method, operation] of Object.entries(methods)) {
      const target = path.replace(/\{\w+\}/g, "x");
      const answer = await send(control, { method: method.toUpperCase(), target, headers: {}, body: "" });
      expect(answer.status, `${method} ${path}`).toBe(operation["x-scope"] === undefined ? 200 : 401);
    }
});

test("a Unix socket of mode 0600 takes the same signed requests", async () => {
  const path = join(ticketFolder(), "control.sock");
  const control = await started({ listen: { socket: { path } } });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect((await send(control, signed(control, EXECUTE, command("list"), { token: "wrong" }))).status).toBe(401);
  const report = await control.client("compose_agent").execute("inspect", tikv1, {}, AbortSignal.timeout(10_000));
  expect(report).toMatchObject({ status: "success", result: { data: { component: "tikv1", status: "running" } } });
});

test("one server a folder; the second is refused and names the first", async () => {
  const control = await started();
  const second = startControl({ engine: newEngine(), stateDir: control.home.queue });
  await expect(second).rejects.toMatchObject({ code: "already-running" });
});

test("an assertion of who the agent is can be checked with the panel's token, and a rotation shows no token", async () => {
  const control = await started();
  const { assertion } = await control.client("compose_agent").assertion(AbortSignal.timeout(5_000));
  const { verifyAssertion } = await import("../../harness/control/assertion.ts");
  const panel = control.tokens.current("status_panel")?.token ?? "";
  expect(verifyAssertion(assertion, panel, systemClock.now())).toMatchObject({
    ok: true,
    claims: { agentId: "test-compose_agent", part: "agent", holder: false },
  });
  const before = control.tokens.current("compose_agent");
  const request = signed(control, "/api/v1/auth/rotate-token", {}, { key: "r1" });
  const answer = await send(control, request);
  const after = control.tokens.current("compose_agent");
  expect(answer.json).toMatchObject({ rotated: true, plane: "compose_agent" });
  expect(after?.token).not.toBe(before?.token);
  expect(answer.text).not.toContain(after?.token);
  for (const body of [{ token: "" }, { new_token: "x".repeat(40) }, { plane: "status_panel" }])
    expect((await send(control, signed(control, "/api/v1/auth/rotate-token", body))).status).toBeGreaterThanOrEqual(
      400,
    );
  expect(control.tokens.current("compose_agent")?.token).toBe(after?.token);
});

async function claimed(): Promise<{ readonly tickets: Tickets; readonly incident: Incident }> {
  const path = join(ticketFolder(), "tickets.db");
  const tickets = await openTickets(path, { clock: systemClock, ids: randomIds, log: silentLog });
  onTestFinished(() => tickets[Symbol.asyncDispose]());
  await tickets.reportViolation(violation());
  return { tickets, incident: await claim(tickets) };
}

async function claim(tickets: Tickets): Promise<Incident> {
  const incident = await tickets.claimNext({ instances: [CLUSTER], holder: "agent-1", leaseMs: 600_000 });
  if (incident === null) throw new Error("nothing to claim");
  return incident;
}
