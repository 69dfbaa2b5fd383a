import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock, type EpochMs } from "../../harness/base/clock.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { silentLog } from "../../harness/base/log.ts";
import { openTickets } from "../../tickets/index.ts";
import { lab } from "../support/cli.ts";

const PROGRAM = resolve(import.meta.dirname, "../../harness/panel/main.ts");

function tokenDir(): string {
  const folder = mkdtempSync(join(tmpdir(), "panel-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "tokens");
}

test("lab panel: a password is made and shown once, people are listed, and locked out", async () => {
  const env = { TOKEN_DIR: tokenDir(), HOME: "/nowhere" };
  expect(await lab(["panel", "users"], { env })).toMatchObject({ out: expect.stringContaining("nobody yet"), code: 0 });
  const made = await lab(["panel", "password", "anna"], { env });
  expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^[0-9a-f]{24}\n$/) });
  expect((await lab(["panel", "users", "--json"], { env })).out).toBe('["anna"]\n');
  expect(await lab(["panel", "password", "Anna Bell"], { env })).toMatchObject({ code: 2, out: "" });
  expect(await lab(["panel", "remove", "anna"], { env })).toMatchObject({ code: 0 });
  expect((await lab(["panel", "remove", "anna"], { env })).err).toMatch(/^error: nobody is called "anna" here/);
});

test("lab panel commands: what an agent in legacy mode carried out for people, and what came of it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "panel-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const db = join(folder, "tickets.db");
  expect((await lab(["panel", "commands", "--db", db])).out).toMatch(/^none: no agent in legacy mode/);
  const tickets = await openTickets(db, { clock: systemClock, ids: randomIds, log: silentLog });
  const at = Date.UTC(2026, 0, 2) as EpochMs;
  const asked = { agent: "agent-1", by: "anna in the panel", params: {}, at };
  await tickets.people.begin({ id: "c1", name: "restart", target: "tikv0", ...asked });
  await tickets.people.end("c1", "failed", { error: "there is no tikv0" }, at);
  expect(await tickets.people.begin({ id: "c1", name: "stop", target: "tikv1", ...asked })).toMatchObject({
    name: "restart",
    state: "failed",
  });
  await tickets.people.end("c1", "success", {}, at);
  await tickets.people.begin({ id: "c2", name: "pause", target: "tikv1", ...asked });
  expect(await tickets.people.totals()).toEqual({ running: 1, success: 0, failed: 1, unknown: 0 });
  await tickets[Symbol.asyncDispose]();
  expect((await lab(["panel", "commands", "--db", db])).out.split("\n")).toEqual([
    "2026-01-02T00:00:00.000Z  anna in the panel  pause tikv1  by agent-1  -> running",
    "2026-01-02T00:00:00.000Z  anna in the panel  restart tikv0  by agent-1  -> failed: there is no tikv0",
    "",
  ]);
  const { out } = await lab(["panel", "commands", "--db", db, "--json"]);
  expect(JSON.parse(out)).toMatchObject([{ id: "c2" }, { id: "c1", report: { error: "there is no tikv0" } }]);
});

describe("the program", () => {
  const start = (env: Record<string, string>) =>
    spawn(process.execPath, [PROGRAM], {
      env: { PATH: process.env["PATH"] ?? "", HOME: "/nowhere", EXIT_WITH_STDIN: "1", ...env },
      stdio: ["pipe", "ignore", "pipe"],
    });
  const onFreePorts = {
    PANEL_LISTEN: "127.0.0.1:0",
    PANEL_AGENTS_LISTEN: "127.0.0.1:0",
    CONTROL_URL: "http://127.0.0.1:1",
  };

  test("serves page and door without a compose-agent, and ends with whoever started it", async () => {
    const env = { ...onFreePorts, TOKEN_DIR: tokenDir() };
    await lab(["token", "rotate", "status_panel"], { env });
    const child = start(env);
    onTestFinished(() => void child.kill("SIGKILL"));
    const closed = once(child, "close");
    const said: Record<string, unknown>[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(JSON.parse(line) as Record<string, unknown>);
      const { event, page, agents } = said.at(-1) ?? {};
      if (event !== "panel.started") continue;
      expect((await fetch(`${String(page)}/sign-in`)).status).toBe(200);
      expect((await fetch(`${String(agents)}/health`)).status).toBe(200);
      child.stdin.end();
    }
    expect(await closed).toEqual([0, null]);
    expect(said.map(({ event }) => event)).toContain("panel.nobody-can-sign-in");
  });

  test("without a token, or with settings that make no sense, it says so in one sentence and ends with 2", async () => {
    for (const [env, words] of [
      [{ TOKEN_DIR: tokenDir() }, "has no token for status_panel"],
      [{ TOKEN_DIR: tokenDir(), PANEL_LISTEN: "here" }, "PANEL_LISTEN must be host:port"],
    ] as const) {
      const child = start({ ...onFreePorts, ...env });
      onTestFinished(() => void child.kill("SIGKILL"));
      let text = "";
      child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
      expect(await once(child, "close")).toEqual([2, null]);
      expect(text.trim().split("\n").at(-1)).toContain(words);
    }
  });
});
