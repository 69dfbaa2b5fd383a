import { describe, expect, test } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { assertionKey, signAssertion, verifyAssertion, type Asserted } from "../../harness/control/assertion.ts";
import type { CommandReport } from "../../harness/control/contract.ts";
import { fingerprintOf } from "../../harness/control/tokens/index.ts";
import { countAttempts } from "../../harness/panel/attempts.ts";
import { panelConfig } from "../../harness/panel/config.ts";
import { openDesk } from "../../harness/panel/desk.ts";
import { failuresOf } from "../../harness/panel/failures.ts";
import { openParts, type KnownPart } from "../../harness/panel/parts.ts";
import { openRates } from "../../harness/panel/rates.ts";
import { routeOf } from "../../harness/panel/route.ts";
import { openSignIns } from "../../harness/panel/sign-ins.ts";
import { ManualClock } from "../support/manual-clock.ts";

const never = new AbortController().signal;
const TOKEN = "a token that is long enough to be one";

describe("an assertion", () => {
  const who: Asserted = { agentId: "agent-1", deploymentHash: "d1", part: "agent", holder: false };

  test("says who it is about to whoever holds the token, for five minutes", () => {
    const clock = new ManualClock();
    const { assertion, expiresAt } = signAssertion(who, TOKEN, { clock, ids: randomIds });
    expect(assertionKey(assertion)).toBe(fingerprintOf(TOKEN));
    expect(verifyAssertion(assertion, TOKEN, clock.now())).toMatchObject({ ok: true, claims: who });
    expect(expiresAt - clock.now()).toBe(300_000);
    clock.jump(300_000 + 60_001);
    expect(verifyAssertion(assertion, TOKEN, clock.now())).toEqual({ ok: false, why: "expired" });
    clock.jump(-500_000);
    expect(verifyAssertion(assertion, TOKEN, clock.now())).toEqual({ ok: false, why: "not-yet" });
  });

  test("with another token, with changed claims, cut or stretched is none", () => {
    const clock = new ManualClock();
    const { assertion } = signAssertion(who, TOKEN, { clock, ids: randomIds });
    const why = (text: string, token = TOKEN) => verifyAssertion(text, token, clock.now());
    expect(why(assertion, "another token altogether, and long")).toEqual({ ok: false, why: "signature" });
    const [key = "", body = "", mac = ""] = assertion.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as object;
    const holder = Buffer.from(JSON.stringify({ ...claims, holder: true })).toString("base64url");
    expect(why(`${key}.${holder}.${mac}`)).toEqual({ ok: false, why: "signature" });
    for (const text of ["", "..", assertion.slice(0, 40), `${assertion}.x`, `${assertion}${"A".repeat(5_000)}`])
      expect(why(text).ok, text.slice(0, 60)).toBe(false);
    expect(() => signAssertion(who, "", { clock, ids: randomIds })).toThrow(RangeError);
  });
});

describe("where a command goes", () => {
  const part = (changes: Partial<KnownPart>): KnownPart => ({
    agentId: "agent-1",
    deploymentHash: "d1",
    part: "agent",
    version: "1",
    composeAgent: false,
    controlPlane: "status_panel",
    features: ["restart"],
    holder: true,
    status: {},
    registeredAt: 0 as KnownPart["registeredAt"],
    heardAt: 0 as KnownPart["heardAt"],
    silentMs: 0,
    gone: false,
    ...changes,
  });
  const up = { answers: true, why: null, features: ["restart"] };
  const down = { answers: false, why: "connection refused", features: ["restart"] };

  test("the compose-agent when it answers and can, else a legacy agent that is there and can, else nobody", () => {
    expect(routeOf("restart", up, [part({})])).toEqual({ to: "compose-agent" });
    const agent = { to: "agent", agentId: "agent-1", deploymentHash: "d1" };
    expect(routeOf("restart", down, [part({})])).toEqual(agent);
    expect(routeOf("restart", { ...up, features: [] }, [part({})])).toEqual(agent);
  });

  test.each([
    ["in compose mode no agent can", down, [part({ composeAgent: true })], "no agent holds the engine"],
    ["somebody else vouched for it", down, [part({ holder: false })], "no agent holds the engine"],
    ["it is gone", down, [part({ gone: true })], "is gone"],
    ["it cannot", down, [part({ features: [] })], "cannot restart"],
    ["the compose-agent cannot", { ...up, features: ["list"] }, [], "the compose-agent cannot restart"],
    ["nothing was asked yet", { answers: false, why: null, features: null }, [], "not asked yet"],
  ] as const)("nobody, and why: %s", (_, control, parts, words) => {
    const route = routeOf("restart", control, parts);
    expect(route.to === "nobody" ? route.why : route.to).toContain(words);
  });
});

describe("the desk of commands for legacy agents", () => {
  const command = { command_id: "c1", name: "restart", params: { component: "tikv0" }, order: "sealed" };
  const report = (changes: Partial<CommandReport> = {}): CommandReport => ({
    command_id: "c1",
    status: "success",
    result: null,
    error: null,
    error_code: null,
    completed_at: "2026-01-01T00:00:00.000Z",
    executed_by: "status_panel",
    ...changes,
  });

  test("hands each command out once, to its agent, and gives the report back", async () => {
    const clock = new ManualClock();
    const desk = openDesk({ clock });
    const waiting = desk.take("a1", [], 30_000, never);
    const running = desk.run("a1", command, { timeoutMs: 60_000 }, never);
    expect(await waiting).toEqual(command);
    expect(desk.busy).toBe(true);
    expect(await desk.take("a1", ["c1"], 0, never)).toBeNull();
    expect(desk.report("a2", report())).toBe(false);
    expect(desk.report("a1", report())).toBe(true);
    expect(await running).toMatchObject({ status: "success" });
    expect([desk.report("a1", report()), desk.busy]).toEqual([false, false]);
  });

  test("says apart what was never fetched and what was fetched and never reported", async () => {
    const clock = new ManualClock();
    const desk = openDesk({ clock });
    const unfetched = expect(desk.run("a1", command, { timeoutMs: 60_000 }, never)).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringContaining("it was not executed"),
      details: {},
    });
    await clock.advance(10_000);
    await unfetched;
    expect(await desk.take("a1", [], 0, never)).toBeNull();
    const other = { ...command, command_id: "c2" };
    const silent = expect(desk.run("a1", other, { timeoutMs: 60_000 }, never)).rejects.toMatchObject({
      details: { fetched: true },
    });
    expect(await desk.take("a1", [], 0, never)).toMatchObject({ command_id: "c2" });
    await clock.advance(70_000);
    await silent;
    expect(clock.waiting).toBe(0);
  });

  test("what was lost on its way is handed out again, and what is told too late is told all the same", async () => {
    const clock = new ManualClock();
    const desk = openDesk({ clock });
    const late: string[] = [];
    const options = { timeoutMs: 20_000, late: ({ status }: CommandReport) => void late.push(status) };
    const running = expect(desk.run("a1", command, options, never)).rejects.toMatchObject({
      details: { fetched: true },
    });
    const lost = desk.take("a1", [], 30_000, never);
    expect(await lost).toEqual(command);
    // Its answer never arrived: the agent asks again and has nothing in hand.
    expect(await desk.take("a1", [], 30_000, never)).toEqual(command);
    const older = desk.take("a1", ["c1"], 30_000, never);
    const newer = desk.take("a1", ["c1"], 30_000, never);
    expect(await older).toBeNull();
    await clock.advance(30_000);
    expect(await newer).toBeNull();
    await running;
    // A new start of the agent has nothing in hand either.
    expect(await desk.take("a1", [], 0, never)).toEqual(command);
    expect(desk.report("a1", report({ status: "unknown" }))).toBe(true);
    expect([late, desk.report("a1", report())]).toEqual([["unknown"], false]);
    await clock.advance(1);
    expect(clock.waiting).toBe(0);
  });

  test("who waits is told after its time that there is nothing, and leaves nothing behind", async () => {
    const clock = new ManualClock();
    const desk = openDesk({ clock });
    const waiting = desk.take("a1", [], 25_000, never);
    await clock.advance(25_000);
    expect([await waiting, clock.waiting]).toEqual([null, 0]);
  });
});

test("a part is gone after four beats without a word, and back with the next", async () => {
  const clock = new ManualClock();
  const parts = openParts(clock);
  const claims = { agentId: "a", deploymentHash: "d", part: "agent", holder: false } as const;
  const times = { issuedAt: 0, expiresAt: 1, nonce: "12345678" };
  expect(parts.beat({ ...claims, ...times }, "a", {})).toBe(false);
  parts.register(
    { ...claims, ...times },
    {
      agent_id: "a",
      deployment_hash: "d",
      part: "agent",
      version: "1",
      compose_agent: true,
      control_plane: "compose_agent",
      features: [],
      status: {},
    },
  );
  const gone = () => parts.list().map((one) => one.gone);
  await clock.advance(12_000);
  clock.jump(1_000_000);
  expect(gone()).toEqual([false]);
  await clock.advance(1);
  expect(gone()).toEqual([true]);
  expect(parts.beat({ ...claims, ...times, part: "watchdog" }, "a", {})).toBe(false);
  expect(parts.beat({ ...claims, ...times }, "a", { doing: "works" })).toBe(true);
  expect(parts.list()).toMatchObject([{ gone: false, status: { doing: "works" } }]);
});

test("commands a minute are those of the last minute; a server that starts anew begins anew", () => {
  const rates = openRates();
  const add = (atMs: number, panel: number) => rates.add(atMs, { status_panel: panel, compose_agent: 2 * panel });
  add(0, 100);
  expect(rates.perMinute("status_panel")).toBeNull();
  add(10_000, 103);
  expect([rates.perMinute("status_panel"), rates.perMinute("compose_agent")]).toEqual([3, 6]);
  for (let second = 20; second <= 180; second += 10) add(second * 1_000, 103);
  expect(rates.perMinute("status_panel")).toBe(0);
  add(190_000, 1);
  expect(rates.perMinute("status_panel")).toBeNull();
  add(200_000, 2);
  expect(rates.perMinute("status_panel")).toBe(1);
});

test("failures are commands that failed, were refused, or of which nobody knows, by plane", () => {
  const metrics = `# TYPE control_commands_total counter
control_commands_total{plane="compose_agent",command="restart",outcome="success"} 12
control_commands_total{plane="compose_agent",command="restart",outcome="failed"} 2
control_commands_total{plane="compose_agent",command="exec",outcome="refused"} 3
control_commands_total{plane="status_panel",command="stop",outcome="unknown"} 1
control_auth_failures_total{reason="signature-invalid"} 9
`;
  expect(failuresOf(metrics)).toEqual({ status_panel: 1, compose_agent: 5 });
});

test("after five failures by one name, or thirty in all, nobody is asked for the rest of the minute", async () => {
  const clock = new ManualClock();
  const attempts = countAttempts(clock);
  for (let failure = 0; failure < 5; failure++) {
    expect(attempts.waitMs(["anna"])).toBe(0);
    attempts.failed(["anna"]);
    await clock.advance(1_000);
  }
  expect(attempts.waitMs(["anna"])).toBe(55_000);
  expect(attempts.waitMs(["berta"])).toBe(0);
  await clock.advance(55_000);
  expect(attempts.waitMs(["anna"])).toBe(0);
  for (let guess = 0; guess < 30; guess++) attempts.failed([`name ${guess}`]);
  expect(attempts.waitMs(["berta"])).toBe(60_000);
});

test("somebody stays signed in for two hours without a look, twelve at most", async () => {
  const clock = new ManualClock();
  const signIns = openSignIns({ clock, ids: randomIds });
  const cookie = signIns.begin("anna", "mark");
  const hour = 3_600_000;
  for (let hours = 1; hours <= 12; hours++) {
    await clock.advance(hour);
    expect(signIns.find(cookie)?.name).toBe("anna");
  }
  await clock.advance(1);
  expect(signIns.find(cookie)).toBeNull();
  const other = signIns.begin("anna", "mark");
  await clock.advance(2 * hour + 1);
  expect([signIns.find(other), signIns.find("guess"), signIns.find(undefined)]).toEqual([null, null, null]);
});

test("the panel's settings: defaults, what is said, and one sentence for what makes no sense", () => {
  const settings = { tokenDir: "/tokens" };
  expect(panelConfig({ PANEL_NOTICE: "" }, settings)).toEqual({
    control: { url: "http://compose-agent:8701" },
    page: { host: "127.0.0.1", port: 8702 },
    machines: { host: "127.0.0.1", port: 8703 },
    usersFile: "/tokens/status_panel/users",
    hosts: ["localhost", "127.0.0.1", "[::1]", "statuspanel"],
    notice: null,
    secureCookie: false,
  });
  const said = {
    CONTROL_URL: "unix:/run/c.sock",
    PANEL_LISTEN: "[::1]:1",
    PANEL_TLS: "Yes",
    PANEL_HOSTS: "a.example, b",
  };
  expect(panelConfig(said, settings)).toMatchObject({
    control: { socketPath: "/run/c.sock" },
    page: { host: "::1", port: 1 },
    machines: { host: "::1", port: 2 },
    hosts: expect.arrayContaining(["a.example", "b"]),
    secureCookie: true,
  });
  expect(() => panelConfig({ PANEL_TLS: "maybe" }, settings)).toThrow("PANEL_TLS must be true or false");
  expect(() => panelConfig({ CONTROL_URL: "compose-agent" }, settings)).toThrow("CONTROL_URL must be");
});
