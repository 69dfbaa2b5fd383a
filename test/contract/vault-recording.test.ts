import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { shapeOf } from "../support/json-shape.ts";
import { VaultServer } from "../support/vault/vault-server.ts";

interface Step {
  readonly method: string;
  readonly path: string;
  readonly as: string;
  readonly request: unknown;
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly note?: string;
}

function recorded(name: string): readonly Step[] {
  const file = new URL(`../recordings/vault-api/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly steps: readonly Step[] }).steps;
}

test("the stand-in server answers all 64 recorded requests alike: status, content type, error text, JSON keys and types", async () => {
  const steps = recorded("kv-and-tokens");
  expect(steps).toHaveLength(64);
  const clock = new ManualClock();
  await using server = await VaultServer.start(clock);
  const tokens: Record<string, string> = { root: server.root, "not-a-token": "not-a-token" };
  for (const [at, step] of steps.entries()) {
    // The short token was given two seconds.
    if (step.note === "expired") await clock.advance(2_000);
    const answer = await ask(server.url, step, tokens[step.as]);
    alike(answer, step, at);
    remember(tokens, step, answer.body);
  }
});

test("and so it does to which mount a path is on, under the shipped policy, and to a write that must be the first", async () => {
  await using server = await VaultServer.start();
  const tokens: Record<string, string> = { root: server.root, "not-a-token": "not-a-token" };
  for (const [at, step] of recorded("mounts-and-policies").entries()) {
    const answer = await ask(server.url, step, tokens[step.as]);
    alike(answer, step, at);
    const { policy } = (step.request ?? {}) as { readonly policy?: string };
    if (policy !== undefined) tokens["compose-agent"] = server.tokenFor(policy);
  }
  expect(tokens["compose-agent"]).toBeDefined();
});

function alike(answer: Awaited<ReturnType<typeof ask>>, step: Step, at: number): void {
  const which = `step ${at}: ${step.method} ${step.path} as ${step.as}`;
  expect(answer.status, which).toBe(step.status);
  expect(answer.contentType, which).toBe(step.contentType);
  expect(comparable(answer.body), which).toEqual(comparable(step.body));
}

async function ask(url: string, step: Step, token: string | undefined) {
  const body = step.request === null ? undefined : text(step.request);
  const response = await fetch(`${url}${step.path}`, {
    method: step.method,
    headers: {
      ...(token === undefined ? {} : { "x-vault-token": token }),
      ...(step.note === "unknown namespace" ? { "x-vault-namespace": "nowhere" } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, contentType: response.headers.get("content-type"), body: await response.text() };
}

const text = (request: unknown): string => (typeof request === "string" ? request : JSON.stringify(request));

/** Words of errors and warnings as they are, of everything else keys and types. */
function comparable(body: string): unknown {
  if (body === "") return "";
  const json = JSON.parse(body) as { readonly errors?: unknown; readonly warnings?: unknown };
  return { errors: json.errors, warnings: json.warnings, shape: shapeOf(json) };
}

/** The recording's owner of a token that was just created: by its time to live. */
function remember(tokens: Record<string, string>, step: Step, body: string): void {
  if (step.path !== "/v1/auth/token/create") return;
  const { auth } = JSON.parse(body) as { readonly auth: { readonly client_token: string } };
  const { ttl } = step.request as { readonly ttl: string };
  tokens[ttl === "2s" ? "short (ttl 2s, not renewable)" : "panel (ttl 30s, renewable)"] = auth.client_token;
}
