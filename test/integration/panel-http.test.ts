import { describe, expect, onTestFinished, test } from "vitest";
import { panelBench, PERSON, type PanelBench } from "../support/panel-bench.ts";
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

describe("a form that is not from the page", () => {
  test.each([
    ["without its token", {}, (_: string) => ({})],
    ["with another token", {}, () => ({ form_token: "00" })],
    ["sent by another site", { origin: "http://evil.example" }, (token: string) => ({ form_token: token })],
    ["sent across sites", { "sec-fetch-site": "cross-site" }, (token: string) => ({ form_token: token })],
  ])("is refused: %s", async (_, headers, fields) => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    await everybodyTells(bench);
    const { cookie, formToken } = await signedIn(bench);
    expect(formToken).not.toBe("");
    for (const [path, call] of [
      ["/commands", { command: "restart", component: "tikv0", confirmed: "yes" }],
      ["/approvals/a81c02f4", { verdict: "approve" }],
    ] as const) {
      const sent = form({ ...call, ...(fields(formToken) as Record<string, string>) });
      const answer = await fetch(new URL(path, bench.panel.pageUrl), { ...sent, headers: { cookie, ...headers } });
      expect(answer.status).toBe(403);
    }
    expect([control.executed, control.posted]).toEqual([[], []]);
  });

  test("while one from the page is taken", async () => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    await everybodyTells(bench);
    const { cookie, formToken } = await signedIn(bench);
    const headers = {
      cookie,
      accept: "application/json",
      origin: bench.panel.pageUrl,
      "sec-fetch-site": "same-origin",
    };
    const sent = form({ form_token: formToken, command: "start", component: "tikv0" });
    await expect
      .poll(async () => (await fetch(new URL("/commands", bench.panel.pageUrl), { ...sent, headers })).status)
      .toBe(200);
    const kill = form({ form_token: formToken, command: "kill", component: "tikv0" });
    expect((await fetch(new URL("/commands", bench.panel.pageUrl), { ...kill, headers })).status).toBe(400);
    expect(control.executed).toEqual([{ name: "start", params: { component: "tikv0" } }]);
  });
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
