import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { startControl, type TestControl } from "../support/control-server.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { send, signed, type WireAnswer, type WireRequest } from "../support/signed-request.ts";

/**
 * Every step of a recording of trydirect/status 0.2.1 (origin: `test/recordings/README.md`), asked of our server: the
 * same status, and no key of its JSON is missing in ours. What we answer otherwise on purpose is named in
 * `DIFFERENCES`.
 */
interface Step {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly signed: boolean;
  readonly request: Readonly<Record<string, unknown>> | string | null;
  readonly extraHeaders: Readonly<Record<string, string>> | null;
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
}

const { steps } = JSON.parse(
  readFileSync(new URL("../recordings/status-api/local-api.json", import.meta.url), "utf8"),
) as { readonly steps: readonly Step[] };

/** By number of the step: what is otherwise here, and why. */
const DIFFERENCES: Readonly<Record<number, string>> = {
  2: "/metrics is Prometheus text unless JSON is asked for",
  4: "unknown endpoints have a JSON body that says so",
  5: "unknown endpoints have a JSON body that says so",
};

/** Its commands are lines of text; ours are names with parameters. */
function translated(request: NonNullable<Step["request"]>): unknown {
  if (typeof request === "string") return request;
  const line = String(request["name"] ?? "");
  const [, verb = "", container = "", lines] = /^docker:(\w+):(\w+)(?::(\d+))?$/.exec(line) ?? [];
  if (verb !== "") {
    const component = container.replace("tikv_pd0_1", "pd0");
    return { ...request, name: verb, params: { component, ...(lines === undefined ? {} : { tail: Number(lines) }) } };
  }
  // It runs `echo` on its own host; here programs run in containers, and people may run those that only look.
  if (line.startsWith("echo ")) return { ...request, name: "exec", params: { component: "pd0", argv: ["date", "-u"] } };
  return request;
}

test("every recorded step gets the recorded status and at least its keys", async () => {
  const engine = new ScriptedEngine(systemClock, [
    {
      component: "pd0",
      prints: [{ stream: "stdout", text: "ready" }],
      exec: async ([, ...words]) => ({ exitCode: 0, stdout: `${words.join(" ")}\n`, stderr: "" }),
    },
  ]);
  // Without workers of its own: what is enqueued waits for a poller, as there.
  const control = await startControl({ engine, workers: null, deploymentHash: "hash1" });
  onTestFinished(() => control[Symbol.asyncDispose]());
  let last: WireRequest | null = null;
  for (const [number, step] of steps.entries()) {
    const replayed = step.status === 409;
    const request: WireRequest = replayed && last !== null ? last : wire(control, step);
    const answer = await send(control, request);
    last = request;
    const label = `step ${number}: ${step.method} ${step.path}`;
    expect(answer.status, label).toBe(step.status);
    if (step.body === "" && DIFFERENCES[number] === undefined) expect(answer.text, label).toBe("");
    if (step.contentType === "application/json") expectKeys(JSON.parse(step.body), answer, label);
  }
  expect(engine.acts).toEqual([]);
});

function wire(control: TestControl, step: Step): WireRequest {
  const accept = { accept: "application/json" };
  const body = step.request === null ? null : translated(step.request);
  if (step.signed || step.extraHeaders !== null) {
    const headers = Object.fromEntries(
      Object.entries(step.extraHeaders ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    );
    // A stale timestamp is signed as such there.
    const stale =
      headers["x-timestamp"] === undefined ? {} : { parts: { timestampMs: Number(headers["x-timestamp"]) } };
    const good = signed(control, step.path, body, { plane: "status_panel", method: step.method, ...stale });
    return { ...good, headers: { ...accept, ...good.headers, ...headers } };
  }
  return { method: step.method, target: step.path, headers: accept, body: body === null ? "" : JSON.stringify(body) };
}

/** Same keys, same types; null says nothing about a type. */
function expectKeys(recorded: unknown, answer: WireAnswer, label: string): void {
  expect(answer.headers["content-type"], label).toMatch(/^application\/json/);
  compare(recorded, answer.json, label);
}

function compare(recorded: unknown, ours: unknown, where: string): void {
  if (recorded === null || ours === null) return;
  expect(Array.isArray(ours) ? "array" : typeof ours, where).toBe(Array.isArray(recorded) ? "array" : typeof recorded);
  if (typeof recorded !== "object" || Array.isArray(recorded)) return;
  for (const [key, value] of Object.entries(recorded)) {
    expect(Object.keys(ours as object), where).toContain(key);
    compare(value, (ours as Record<string, unknown>)[key], `${where} .${key}`);
  }
}
