import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { signAssertion } from "../../harness/control/assertion.ts";
import { openUsers, removeUser, setPassword } from "../../harness/panel/users.ts";
import { DEPLOYMENT, panelBench, PERSON, type PanelBench } from "../support/panel-bench.ts";
import { busyEvening, everybodyTells } from "../support/panel-scene.ts";
import { ScriptedControl } from "../support/scripted-control.ts";

async function open(control = new ScriptedControl()): Promise<PanelBench> {
  const bench = await panelBench(control);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

const form = (fields: Readonly<Record<string, string>>) => ({ method: "POST", body: new URLSearchParams(fields) });

async function signIn(bench: PanelBench, password: string = PERSON.password): Promise<Response> {
  const url = new URL("/sign-in", bench.panel.pageUrl);
  return await fetch(url, { ...form({ name: PERSON.name, password }), redirect: "manual" });
}

/** Somebody who is signed in: the cookie, and the token of the forms on the page. */
async function signedIn(bench: PanelBench): Promise<{ readonly cookie: string; readonly formToken: string }> {
  const answer = await signIn(bench);
  const cookie = (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const page = await (await fetch(bench.panel.pageUrl, { headers: { cookie } })).text();
  return { cookie, formToken: /name="form_token" value="([0-9a-f]+)"/.exec(page)?.[1] ?? "" };
}

test("a form that is not from the page is refused, one that is is taken", async () => {
  const control = busyEvening(Date.now());
  const bench = await open(control);
  await everybodyTells(bench);
  const { cookie, formToken } = await signedIn(bench);
  const own = { form_token: formToken };
  expect(formToken).toMatch(/^[0-9a-f]{64}$/);
  const post = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
    fetch(new URL(path, bench.panel.pageUrl), { ...form(fields), headers: { cookie, ...headers } });
  const strange: readonly (readonly [Record<string, string>, Record<string, string>])[] = [
    [{}, {}],
    [{ form_token: "00" }, {}],
    [own, { origin: "http://evil.example" }],
    [own, { "sec-fetch-site": "cross-site" }],
  ];
  for (const [fields, headers] of strange)
    for (const [path, call] of [
      ["/commands", { command: "restart", component: "tikv0", confirmed: "yes" }],
      ["/approvals/a81c02f4", { verdict: "approve" }],
      ["/sign-out", {}],
    ] as const)
      expect((await post(path, { ...fields, ...call }, headers)).status).toBe(403);
  expect([control.executed, control.posted]).toEqual([[], []]);

  const headers = { accept: "application/json", origin: bench.panel.pageUrl, "sec-fetch-site": "same-origin" };
  const start = { ...own, command: "start", component: "tikv0" };
  await expect.poll(async () => (await post("/commands", start, headers)).status, { timeout: 60_000 }).toBe(200);
  expect((await post("/commands", { ...start, command: "kill" }, headers)).status).toBe(400);
  expect(control.executed).toEqual([{ name: "start", params: { component: "tikv0" } }]);
});

test("nobody sees or does anything without signing in, not even with another panel's cookie", async () => {
  const bench = await open(busyEvening(Date.now()));
  const { cookie } = await signedIn(await open());
  for (const headers of [{}, { cookie }] as Record<string, string>[]) {
    const page = await fetch(bench.panel.pageUrl, { redirect: "manual", headers });
    expect([page.status, page.headers.get("location")]).toEqual([303, "/sign-in"]);
    for (const path of ["/events", "/signed-in", "/nothing"])
      expect((await fetch(new URL(path, bench.panel.pageUrl), { headers })).status).toBe(401);
    const act = form({ command: "restart", component: "tikv0" });
    expect((await fetch(new URL("/commands", bench.panel.pageUrl), { ...act, headers })).status).toBe(401);
  }
});

test("guessing passwords is slowed down for everybody, and who is signed in goes on", async () => {
  const bench = await open();
  const { cookie } = await signedIn(bench);
  const answers = [];
  for (let attempt = 0; attempt < 6; attempt++) answers.push((await signIn(bench, `guess ${attempt}`)).status);
  expect(answers).toEqual([403, 403, 403, 403, 403, 429]);
  const right = await signIn(bench);
  expect([right.status, Number(right.headers.get("retry-after")) > 0]).toEqual([429, true]);
  expect((await fetch(new URL("/signed-in", bench.panel.pageUrl), { headers: { cookie } })).status).toBe(200);
  bench.clock.move(61_000);
  expect((await signIn(bench)).status).toBe(303);
});

test("the page's policy allows no script, style, frame or connection but its own", async () => {
  const bench = await open();
  for (const path of ["/", "/sign-in", "/assets/panel.js", "/nothing"]) {
    const { headers } = await fetch(new URL(path, bench.panel.pageUrl), { redirect: "manual" });
    const policy = headers.get("content-security-policy") ?? "";
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"])
      expect(policy).toContain(rule);
    for (const rule of ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "trusted-types panel"])
      expect(policy).toContain(rule);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
  }
  const { cookie } = await signedIn(bench);
  const page = await (await fetch(bench.panel.pageUrl, { headers: { cookie } })).text();
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|style="|javascript:/i);
});

test("under another name, as after DNS rebinding, nothing is served", async () => {
  const bench = await open();
  const { request } = await import("node:http");
  const status = await new Promise((answered) => {
    const asked = request(bench.panel.pageUrl, { headers: { host: "evil.example" } }, (answer) => {
      answer.resume();
      answered(answer.statusCode);
    });
    asked.end();
  });
  expect(status).toBe(421);
});

test("the stream goes on after what the browser says it saw, and begins anew with another session", async () => {
  const bench = await open(busyEvening(Date.now()));
  const { cookie } = await signedIn(bench);
  const stepsAfter = async (headers: Record<string, string>): Promise<readonly string[]> => {
    const ended = new AbortController();
    const answer = await fetch(new URL("/events?after=", bench.panel.pageUrl), {
      headers: { cookie, ...headers },
      signal: ended.signal,
    });
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (/\nid: .*\/7\n/.test(text)) break;
    }
    ended.abort();
    return [...text.matchAll(/^id: (.*)$/gm)].map(([, id = ""]) => id);
  };
  const place = (number: number) => `20260101T180312-4f2a9c11/${number}`;
  expect(await stepsAfter({})).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(place));
  expect(await stepsAfter({ "last-event-id": place(5) })).toEqual([6, 7].map(place));
  expect(await stepsAfter({ "last-event-id": "another/5" })).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map(place));
});

describe("who may sign in", () => {
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), "users-"));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  };

  test("is in a private file without passwords; a new password has another mark", async () => {
    const path = join(folder(), "below", "users");
    const users = openUsers(path);
    expect([users.names(), await users.matches("anna", "long enough")]).toEqual([[], false]);
    await setPassword(path, "anna", "long enough");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).not.toContain("long enough");
    expect([await users.matches("anna", "long enough"), await users.matches("anna", "long enougH")]).toEqual([
      true,
      false,
    ]);
    const mark = users.mark("anna");
    await setPassword(path, "anna", "long enough");
    expect(users.mark("anna")).not.toBe(mark);
    expect([removeUser(path, "anna"), removeUser(path, "anna"), users.names()]).toEqual([true, false, []]);
  });

  test("has a plain name and no short password", async () => {
    const path = join(folder(), "users");
    await expect(setPassword(path, "Anna:x", "long enough")).rejects.toThrow("will not do as a name");
    await expect(setPassword(path, "anna", "short")).rejects.toThrow("at least 10 characters");
  });
});

test("a new password, or being removed, ends what was signed in with the old one", async () => {
  const bench = await open();
  const { cookie } = await signedIn(bench);
  const status = async () => (await fetch(new URL("/signed-in", bench.panel.pageUrl), { headers: { cookie } })).status;
  expect(await status()).toBe(200);
  await setPassword(join(bench.folder, "users"), PERSON.name, "quite another one");
  expect(await status()).toBe(401);
});

describe("a program that is not ours", () => {
  const register = (bench: PanelBench, authorization: string, body: string) =>
    fetch(new URL("/api/v1/agents/register", bench.panel.machinesUrl), {
      method: "POST",
      headers: { "content-type": "application/json", authorization },
      body,
    });

  test("registers nothing, beats for nobody, and fetches and reports no command", async () => {
    const bench = await open();
    const token = bench.tokens.current("status_panel")?.token ?? "";
    const who = { agentId: "agent-1", deploymentHash: DEPLOYMENT, part: "agent", holder: false } as const;
    const clocks = { clock: systemClock, ids: randomIds };
    const { assertion } = signAssertion(who, token, clocks);
    const forged = signAssertion(who, "a token of somebody else, long enough", clocks).assertion;
    const elsewhere = signAssertion({ ...who, deploymentHash: "another" }, token, clocks).assertion;
    const body = JSON.stringify({
      agent_id: "compose-agent-1",
      deployment_hash: DEPLOYMENT,
      part: "compose-agent",
      version: "1",
      compose_agent: true,
      control_plane: "compose_agent",
      features: [],
      status: {},
    });
    const statuses = [];
    for (const text of [
      "",
      `Assertion ${forged}`,
      `Bearer ${assertion}`,
      `Assertion ${elsewhere}`,
      `Assertion ${assertion}`,
    ])
      statuses.push((await register(bench, text, body)).status);
    expect(statuses).toEqual([401, 401, 401, 403, 403]);
    for (const wrong of ["{bad", "[]", JSON.stringify({ agent_id: "agent-1", more: 1 })])
      expect((await register(bench, `Assertion ${assertion}`, wrong)).status).toBe(400);
    expect((await register(bench, `Assertion ${assertion}`, "x".repeat(200_000))).status).toBe(413);
    const beat = await fetch(new URL("/api/v1/agents/heartbeat", bench.panel.machinesUrl), {
      method: "POST",
      headers: { authorization: `Assertion ${assertion}` },
      body: JSON.stringify({ agent_id: "agent-1", status: {} }),
    });
    expect(beat.status).toBe(404);
    for (const [method, path] of [
      ["GET", `/api/v1/commands/wait/${DEPLOYMENT}?timeout=0`],
      ["POST", "/api/v1/commands/report"],
    ] as const) {
      const asked = { method, headers: { authorization: `Assertion ${assertion}` } };
      expect((await fetch(new URL(path, bench.panel.machinesUrl), asked)).status).toBe(401);
    }
    expect((await fetch(new URL("/sign-in", bench.panel.machinesUrl))).status).toBe(404);
  });
});
