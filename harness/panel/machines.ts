import type { HttpBindings } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { errorText } from "../base/errors.ts";
import { assertionKey, verifyAssertion, type AssertionClaims } from "../control/assertion.ts";
import { commandResult, reportRequest } from "../control/contract.ts";
import { heartbeatSchema, registrationSchema } from "../control/registration.ts";
import { ApiError } from "../control/server/api-error.ts";
import type { Epoch } from "../control/server/epoch.ts";
import type { Gate } from "../control/server/gate.ts";
import type { TokenCache } from "../control/tokens/index.ts";
import type { Deps } from "../protocol.ts";
import type { Desk } from "./desk.ts";
import type { Parts } from "./parts.ts";

const MAX_BODY_BYTES = 128 * 1024;
const MAX_WAIT_MS = 60_000;
const DEFAULT_WAIT_MS = 30_000;
/** More than an agent has in hand at once. */
const MAX_HELD = 50;

export interface MachineOptions {
  readonly parts: Parts;
  readonly desk: Desk;
  readonly tokens: TokenCache;
  /** Checks signed requests of agents that hold the panel's token. */
  readonly gate: Gate;
  /** The same, and takes the longer answers of agents that were asked something. */
  readonly answers: Gate;
  readonly serverId: string;
  readonly epoch: Epoch;
  readonly version: string;
  readonly deploymentHash: string;
  /** A part has registered or beaten. */
  heard(): void;
  readonly signal: AbortSignal;
}

type Bindings = { Bindings: HttpBindings };

/**
 * What programs ask of the panel: to be known, and, for an agent that holds the engine itself, what is to be done. On a
 * port of its own, so that who may reach it cannot reach people's page. Replies have no words for people.
 */
export function machineApp(options: MachineOptions, deps: Pick<Deps, "clock" | "log">): Hono<Bindings> {
  const app = new Hono<Bindings>();
  app.get("/health", (c) => c.json({ status: "ok" }));
  // What a signature needs to name this server and this start of it, as at the control server.
  app.get("/capabilities", (c) =>
    c.json({
      compose_agent: false,
      control_plane: "status_panel",
      version: options.version,
      features: ["queue", "registration"],
      server_id: options.serverId,
      boot_epoch: options.epoch.current,
      time_ms: deps.clock.now(),
    }),
  );
  registering(app, options, deps);
  commands(app, options);
  app.notFound((c) => c.json({ error: "no such path", code: "not-found" }, 404));
  app.onError((error, c) => {
    if (error instanceof ApiError)
      return c.json({ error: error.message, code: error.code, ...error.extra }, error.status);
    deps.log.error("panel.failed", { path: c.req.path, why: errorText(error) });
    return c.json({ error: "that could not be done", code: "unavailable" }, 503);
  });
  return app;
}

function registering(
  app: Hono<Bindings>,
  { parts, tokens, deploymentHash, heard, signal }: MachineOptions,
  { clock, log }: Pick<Deps, "clock" | "log">,
): void {
  const claimsOf = async (c: Context): Promise<AssertionClaims> => {
    const text = /^Assertion (\S+)$/.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
    const key = assertionKey(text);
    const token = key === null ? null : await tokens.lookup("status_panel", key, signal);
    if (token === null) throw new ApiError("key-unknown", "there is no key for this assertion");
    const checked = verifyAssertion(text, token.token, clock.now());
    if (!checked.ok) throw new ApiError("signature-invalid", `assertion: ${checked.why}`);
    if (checked.claims.deploymentHash !== deploymentHash)
      throw new ApiError("scope-missing", "this is the panel of another deployment");
    return checked.claims;
  };
  const tooLarge = () => {
    throw new ApiError("too-large", `a body has at most ${MAX_BODY_BYTES} bytes`);
  };
  app.use("/api/v1/agents/*", bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  app.post("/api/v1/agents/register", async (c) => {
    const claims = await claimsOf(c);
    const registration = read(registrationSchema, await c.req.text());
    const { agent_id, part, deployment_hash } = registration;
    if (agent_id !== claims.agentId || part !== claims.part || deployment_hash !== claims.deploymentHash)
      throw new ApiError("scope-missing", "the assertion is somebody else's");
    parts.register(claims, registration);
    log.info("panel.part-registered", { agentId: agent_id, part, version: registration.version });
    heard();
    return c.json({ registered: true });
  });
  app.post("/api/v1/agents/heartbeat", async (c) => {
    const claims = await claimsOf(c);
    const { agent_id, status } = read(heartbeatSchema, await c.req.text());
    if (!parts.beat(claims, agent_id, status)) throw new ApiError("not-found", "register first");
    heard();
    return c.json({ accepted: true });
  });
}

/** The queue of the original: `wait` and `report`, signed like every request of the control API. */
function commands(app: Hono<Bindings>, { desk, gate, answers, deploymentHash, signal }: MachineOptions): void {
  app.get("/api/v1/commands/wait/:hash", async (c) => {
    const caller = await gate.authenticate(c.env.incoming, signal);
    gate.allow(caller, "queue:work");
    if (c.req.param("hash") !== deploymentHash) throw new ApiError("not-found", "no such deployment here");
    const timeout = c.req.query("timeout") ?? "";
    // Seconds, as the original has it.
    const waitMs = /^\d{1,4}$/.test(timeout) ? Math.min(Number(timeout) * 1_000, MAX_WAIT_MS) : DEFAULT_WAIT_MS;
    const holding = (c.req.query("holding") ?? "").split(",").slice(0, MAX_HELD);
    const command = await desk.take(caller.agentId, holding, waitMs, AbortSignal.any([signal, c.req.raw.signal]));
    return command === null ? c.body(null, 204) : c.json({ id: command.command_id, ...command, plane: caller.plane });
  });
  app.post("/api/v1/commands/report", async (c) => {
    // Long bodies are read only while somebody has been asked something.
    const caller = await (desk.busy ? answers : gate).authenticate(c.env.incoming, signal);
    gate.allow(caller, "queue:work");
    const report = read(reportRequest, caller.body.toString("utf8"));
    const result = commandResult.nullable().safeParse(report.result ?? null);
    const accepted = desk.report(caller.agentId, {
      command_id: report.command_id,
      status: report.status,
      result: result.success ? result.data : null,
      error: report.error ?? null,
      error_code: report.error_code ?? null,
      completed_at: report.completed_at,
      // What was run for the panel was run on the panel's plane, whatever the report says.
      executed_by: caller.plane,
    });
    if (!accepted) throw new ApiError("not-found", "nobody waits for this command");
    return c.json({ accepted: true });
  });
}

/** @throws ApiError `malformed`. */
function read<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ApiError("malformed", "the body is not JSON");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new ApiError("malformed", z.prettifyError(parsed.error));
  return parsed.data;
}
