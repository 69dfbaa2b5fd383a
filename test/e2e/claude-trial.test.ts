import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { MessagesApiServer, type ScriptedTurn, type SeenRequest } from "../support/messages-api.ts";

const lab = resolve(import.meta.dirname, "../../bin/lab.mjs");
const why = { reason: "the scripted model does what it was told" };
const use = (name: string, input: Record<string, unknown> = {}) =>
  ({ type: "tool_use", name, input: { ...why, ...input } }) as const;

/** A model that looks until a store is down, starts it, looks at PD and says so. It decides by what it is told alone. */
function scriptedModel(): (request: SeenRequest) => ScriptedTurn {
  let victim: string | null = null;
  let asked = 0;
  return ({ body }) => {
    const told = JSON.stringify(body.messages.at(-1)?.content);
    if (victim === null) {
      victim = /component\\+":\\+"(tikv\d)\\+",\\+"status\\+":\\+"exited/.exec(told)?.[1] ?? null;
      if (victim === null) return { blocks: [use("wait", { seconds: 1 }), use("container_list")] };
      const hypothesis = { cause: "process-stopped", components: [victim], confidence: 0.9 };
      return { blocks: [use("hypothesis", hypothesis), use("container_start", { component: victim })] };
    }
    if (asked++ === 0)
      return { blocks: [use("wait", { seconds: 10 }), use("pd_request", { method: "GET", path: "/stores" })] };
    return {
      blocks: [
        use("submit_diagnosis", {
          cause: "process-stopped",
          components: [victim],
          explanation: "its process had been stopped",
          evidence: ["container_list said exited 137"],
          done: `started ${victim}`,
          ending: "resolved",
        }),
      ],
    };
  };
}

test("a whole trial with the claude operator: the SDK, the agent's program, a verdict and its cost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "trial-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const decide = scriptedModel();
  await using api = await MessagesApiServer.start(Array.from({ length: 50 }, () => decide));
  const args = ["run", "tikv/store-kill", "--operator", "claude", "--engine", "process", "--seed", "3", "--json"];
  const child = spawn(process.execPath, [lab, ...args], {
    cwd: folder,
    env: {
      ...process.env,
      HOME: folder,
      AGENT_LAB_HOME: join(folder, "state"),
      ANTHROPIC_API_KEY: "sk-test-0123456789",
      ANTHROPIC_BASE_URL: api.url,
    },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  expect(code, err).toBe(0);
  const record = JSON.parse(out) as {
    operator: { name: string; model: string; promptDigest: string; details: Record<string, string> };
    session: { ending: string; usage: { usd: number; turns: number } };
    grade: { verdict: string; diagnosed: { right: boolean } };
  };
  expect(record.grade).toMatchObject({ verdict: "pass", diagnosed: { right: true } });
  expect(record.operator).toMatchObject({ name: "claude", model: expect.stringMatching(/^claude-/) });
  expect(record.operator.promptDigest).toMatch(/^v1 sha256:[0-9a-f]{64}$/);
  expect(record.operator.details).toMatchObject({ briefing: expect.stringMatching(/^sha256:/) });
  expect(record.session).toMatchObject({ ending: "resolved" });
  expect(record.session.usage.turns).toBe(api.seen.length);
  expect(record.session.usage.usd).toBeGreaterThan(0);
  expect(out + err).not.toContain("sk-test");
});
