/**
 * The commands and shapes of the control API: what client, server, panel and agent share. Types, zod schemas and pure
 * functions only; nothing here runs or waits.
 *
 * Names and keys of endpoints that trydirect/status 0.2.1 has too are a superset of its (a test compares them with a
 * recording): `command_id`, `executed_by`, `completed_at`, `result.stdout` and so on.
 */
import { z } from "zod";
import type { Component, Effect } from "../protocol.ts";
import { execEffect } from "./exec-effect.ts";
import type { Scope } from "./planes.ts";

export const DEFAULT_PORT = 8701;

// ------------------------------------------------------------------------------------------------ commands

/** Also guards the engine: nothing that could be read as a flag or a path gets through. */
const component = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, "a component's name, e.g. tikv1")
  .transform((name) => name as Component);
const graceMs = z.int().min(0).max(120_000).optional();
const none = z.strictObject({});
const target = z.strictObject({ component });
const graceful = z.strictObject({ component, grace_ms: graceMs });
const ticket = z.strictObject({ ticket: z.int().positive() });

const MAX_LOG_LINES = 5_000;

export interface CommandSpec<P extends z.ZodType = z.ZodType> {
  readonly summary: string;
  readonly params: P;
  effect(params: z.output<P>): Effect;
  scope(params: z.output<P>): Scope;
  /** How long the act itself may take. */
  timeoutMs(params: z.output<P>): number;
  /** Asks for a state that can be looked up: after a crash it is looked up and, if not so, asked for once more. */
  readonly declarative: boolean;
}

function command<P extends z.ZodType>(
  summary: string,
  params: P,
  rest: {
    readonly effect: Effect | ((params: z.output<P>) => Effect);
    readonly scope?: Scope;
    readonly timeoutMs?: number | ((params: z.output<P>) => number);
    readonly declarative?: boolean;
  },
): CommandSpec<P> {
  const { effect, timeoutMs = 15_000 } = rest;
  const effectOf = (input: z.output<P>): Effect => (typeof effect === "function" ? effect(input) : effect);
  return {
    summary,
    params,
    effect: effectOf,
    scope: (input) => rest.scope ?? (`containers:${effectOf(input)}` as const),
    timeoutMs: (input) => (typeof timeoutMs === "function" ? timeoutMs(input) : timeoutMs),
    declarative: rest.declarative ?? false,
  };
}

/** A stop may take its whole grace; the container's own is not known here. */
const stopping = ({ grace_ms }: { readonly grace_ms?: number | undefined }): number => (grace_ms ?? 30_000) + 15_000;

/** Every command there is. What is not listed is refused as unknown. */
export const COMMANDS = {
  health: command("the subject's containers, counted by state", none, { effect: "read" }),
  list: command("every container of the subject", none, { effect: "read" }),
  inspect: command("one container in full", target, { effect: "read" }),
  stats: command("processor and memory in use", target, { effect: "read" }),
  logs: command(
    "log lines; with the cursor of the last answer exactly those that came since",
    z.strictObject({
      component,
      /** The last so many lines; ignored with a cursor. 0 = only a cursor to go on from. */
      tail: z.int().min(0).max(MAX_LOG_LINES).optional(),
      since_ms: z.number().nonnegative().optional(),
      cursor: z.string().max(512).optional(),
      /** At most so many lines; the cursor goes on from there. */
      limit: z.int().min(1).max(MAX_LOG_LINES).optional(),
    }),
    { effect: "read" },
  ),
  start: command("start a stopped one", target, { effect: "write", declarative: true }),
  stop: command("SIGTERM, then SIGKILL", graceful, { effect: "write", declarative: true, timeoutMs: stopping }),
  restart: command("stop and start", graceful, { effect: "write", timeoutMs: stopping }),
  kill: command(
    "send a signal, SIGKILL unless told otherwise",
    z.strictObject({
      component,
      signal: z
        .string()
        .regex(/^SIG[A-Z0-9]{2,8}$/)
        .optional(),
    }),
    { effect: "write" },
  ),
  pause: command("freeze every process", target, { effect: "write", declarative: true }),
  unpause: command("let a paused one run on", target, { effect: "write", declarative: true }),
  exec: command(
    "run one program inside; no shell reads the arguments",
    z.strictObject({
      component,
      argv: z.array(z.string().max(4_096)).min(1).max(64),
      timeout_ms: z.int().min(1).max(120_000).default(10_000),
      max_bytes: z.int().min(1).max(1_048_576).optional(),
    }),
    { effect: ({ argv }) => execEffect(argv), timeoutMs: ({ timeout_ms }) => timeout_ms + 5_000 },
  ),
  update: command(
    "change limits or the restart policy of a running one",
    z
      .strictObject({
        component,
        cpus: z.number().positive().max(256).nullable().optional(),
        memory_bytes: z.int().min(6_291_456).nullable().optional(),
        restart_policy: z
          .string()
          .regex(/^(no|always|unless-stopped|on-failure(:\d{1,4})?)$/)
          .optional(),
      })
      // Docker answers an empty one with a bare EOF.
      .refine(({ component: _, ...changes }) => Object.values(changes).some((value) => value !== undefined), {
        error: "names nothing to change",
      }),
    { effect: "write" },
  ),
  recreate: command(
    "a new container with the same volumes and settings, optionally from another image",
    z.strictObject({
      component,
      image: z
        .string()
        .regex(/^[a-z0-9][A-Za-z0-9._/:@-]{0,254}$/)
        .optional(),
    }),
    { effect: "destructive", timeoutMs: 120_000 },
  ),
  connect: command(
    "attach to the subject's network again",
    z.strictObject({
      component,
      aliases: z
        .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/))
        .max(8)
        .optional(),
    }),
    { effect: "write", declarative: true },
  ),
  disconnect: command("take off the subject's network", target, { effect: "write", declarative: true }),
  server_resources: command("processors, memory and disk of the machine below", none, {
    effect: "read",
    scope: "server:read",
  }),
  ticket_hold: command("take an incident out of every agent's hands", ticket, {
    effect: "write",
    scope: "tickets:hold",
  }),
  ticket_unhold: command("give a held incident back", ticket, { effect: "write", scope: "tickets:hold" }),
} as const;

export type CommandName = keyof typeof COMMANDS;
export type CommandParams<N extends CommandName> = z.output<(typeof COMMANDS)[N]["params"]>;
/** As it travels: before defaults are filled in. */
export type CommandInput<N extends CommandName> = z.input<(typeof COMMANDS)[N]["params"]>;

/** Own keys only: a caller may name anything, "__proto__" too. */
export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** The spec of any command, its parameters untyped; parse them with `params` first. */
export function commandSpec(name: CommandName): CommandSpec {
  return COMMANDS[name] as unknown as CommandSpec;
}

// ------------------------------------------------------------------------------------------------ requests and answers

/** Who acts: the claim on an incident. A stale one is refused with 409 `lease-lost`. */
export const fence = z.strictObject({
  incident: z.string().min(1).max(200),
  holder: z.string().min(1).max(200),
  attempt: z.int().nonnegative(),
});
export type Fence = z.output<typeof fence>;

/** A person's yes to exactly this call: the row in the ticket file, and the digest of what was shown. */
export const approvalProof = z.strictObject({
  id: z.string().min(1).max(100),
  digest: z.string().max(100).optional(),
});
export type ApprovalProof = z.output<typeof approvalProof>;

const commandId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/);

/** Body of `execute` and `enqueue`. `id` is the older name of `command_id`. */
export const commandRequest = z
  .strictObject({
    id: commandId.optional(),
    command_id: commandId.optional(),
    deployment_hash: z.string().max(200).optional(),
    name: z.string().min(1).max(100),
    params: z.record(z.string(), z.unknown()).default({}),
    /** For the audit. */
    reason: z.string().max(1_000).optional(),
    fence: fence.nullish(),
    approval: approvalProof.nullish(),
    /** Of `enqueue`: who runs it. Default: the server, where it has workers. */
    executor: z.enum(["server", "poller"]).optional(),
  })
  .refine(({ id, command_id }) => id !== undefined || command_id !== undefined, "command_id is missing");
export type CommandRequest = z.output<typeof commandRequest>;

/** `unknown` = it was begun and nobody can say whether it took; it is never repeated. */
export const COMMAND_STATUSES = ["queued", "running", "success", "failed", "unknown"] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

export const commandResult = z.object({
  operation: z.string(),
  container: z.string().nullable(),
  duration_secs: z.number(),
  /** Of exec; 0 or 1 of everything else. */
  exit_code: z.number(),
  stdout: z.string(),
  stderr: z.string().optional(),
  /** What the engine returned: ContainerState, LogLine[] with cursor, stats ... */
  data: z.unknown(),
});
export type CommandResult = z.output<typeof commandResult>;

/** Answer of `execute`, of `GET /api/v1/commands/{id}`, and (without `replayed`) what `report` takes. */
export const commandReport = z.object({
  command_id: z.string(),
  status: z.enum(COMMAND_STATUSES),
  result: commandResult.nullable(),
  /** One sentence; null where it went well. */
  error: z.string().nullable(),
  /** `ErrorCode` of harness/base, e.g. `not-found`, `wrong-state`, `timeout`. */
  error_code: z.string().nullable(),
  /** UTC; null while it is not over. */
  completed_at: z.string().nullable(),
  executed_by: z.string().nullable(),
});
export type CommandReport = z.output<typeof commandReport>;

/** Body of `report`: a poller says what came of the command that it took. */
export const reportRequest = z.strictObject({
  command_id: commandId,
  status: z.enum(["success", "failed", "unknown"]),
  result: z.unknown().optional(),
  error: z.string().max(4_000).nullish(),
  error_code: z.string().max(100).nullish(),
  completed_at: z.string().max(64),
  executed_by: z.string().max(100).optional(),
  deployment_hash: z.string().max(200).optional(),
});
export type ReportRequest = z.output<typeof reportRequest>;

/** Why a request was refused; `error` is the sentence beside it. */
export const API_ERRORS = {
  "too-large": 413,
  "signature-missing": 401,
  "signature-invalid": 401,
  "timestamp-skew": 401,
  "key-unknown": 401,
  /** The answer carries `server_id` and `boot_epoch`: sign once more with them. */
  "stale-epoch": 401,
  "nonce-seen": 409,
  "scope-missing": 403,
  "observe-mode": 403,
  "approval-required": 403,
  "approval-invalid": 403,
  "rate-limited": 429,
  malformed: 400,
  "unknown-command": 400,
  "key-missing": 400,
  /** The idempotency key has been used with another body. */
  "key-reused": 422,
  "lease-lost": 409,
  "wrong-state": 409,
  "not-found": 404,
  "audit-failed": 503,
  /** The server is about to end, or what the endpoint needs does not answer. */
  unavailable: 503,
} as const;
export type ApiErrorCode = keyof typeof API_ERRORS;
