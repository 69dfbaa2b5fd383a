import { z } from "zod";
import { approvalProof, commandReport, commandRequest, fence, reportRequest, type ApiErrorCode } from "../contract.ts";
import { PLANES, type Scope } from "../planes.ts";
import { decideRequest, ticketQueries } from "../ticket-answers.ts";

/** One endpoint as the API's document tells it. What is not here is not served: a test compares the two. */
export interface RouteSpec {
  readonly method: "GET" | "POST";
  /** In Hono's form: `:id`. */
  readonly path: string;
  readonly summary: string;
  /** Null = unsigned; `command` = that of the command in the body. */
  readonly scope: Scope | "command" | null;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema?: z.ZodType }>>;
}

const counts = z.object({
  status_panel_count: z.int(),
  compose_agent_count: z.int(),
  total_count: z.int(),
  last_control_plane: z.enum(PLANES).nullable(),
  last_command_timestamp_ms: z.number().nullable(),
});
const part = z.object({ ok: z.boolean(), why: z.string().nullable() });
const rows = z.array(z.record(z.string(), z.unknown()));
const seconds = (most: number) => z.coerce.number().min(0).max(most);
export const ERROR_BODY = z.object({ error: z.string(), code: z.string().describe("see the list of codes") });

export const queries = {
  ...ticketQueries,
  wait: z.object({ timeout: seconds(300).default(30) }),
  events: z.object({ after: z.string().max(60).optional(), timeout: seconds(60).default(0) }),
} as const;

export const rotateRequest = z.strictObject({
  /** The caller's own; a token never travels, neither here nor back. */
  plane: z.enum(PLANES).optional(),
  /** How long the predecessor stays valid. */
  grace_ms: z.int().min(0).max(3_600_000).optional(),
});

export const assertionRequest = z.strictObject({});

const ok = (description: string, schema?: z.ZodType) => ({ 200: { description, ...(schema ? { schema } : {}) } });

export const ROUTES: readonly RouteSpec[] = [
  {
    method: "GET",
    path: "/health",
    summary: "how the server is, by part",
    scope: null,
    answers: ok(
      "always; `status` is ok or degraded",
      z.object({
        status: z.enum(["ok", "degraded"]),
        token_age_seconds: z.number().nullable(),
        last_refresh_ok: z.boolean().nullable(),
        command_metrics: counts,
        planes: z.record(z.string(), z.unknown()),
        engine: part,
        tickets: part.nullable(),
        audit: part,
        queue: z.record(z.string(), z.number()),
        mode: z.string(),
        version: z.string(),
        control_plane: z.enum(PLANES),
      }),
    ),
  },
  {
    method: "GET",
    path: "/capabilities",
    summary: "what works now, asked of what is below",
    scope: null,
    answers: ok(
      "with what a signature needs to name this server and this start of it",
      z.object({
        compose_agent: z.boolean(),
        control_plane: z.enum(PLANES),
        version: z.string(),
        features: z.array(z.string()),
        mode: z.string(),
        server_id: z.string(),
        boot_epoch: z.string(),
        time_ms: z.number(),
      }),
    ),
  },
  {
    method: "GET",
    path: "/metrics",
    summary: "Prometheus text; with `Accept: application/json` the machine's resources in the original's keys",
    scope: null,
    answers: ok("text"),
  },
  { method: "GET", path: "/openapi.json", summary: "this document", scope: null, answers: ok("OpenAPI 3.1") },
  {
    method: "GET",
    path: "/api/v1/diagnostics/commands",
    summary: "commands that were carried out, by who asked",
    scope: null,
    answers: ok("since the server started", counts),
  },
  {
    method: "POST",
    path: "/api/v1/commands/execute",
    summary: "carry a command out and wait for its end",
    scope: "command",
    body: commandRequest,
    answers: ok("also for a command that failed: `status` says", commandReport),
  },
  {
    method: "POST",
    path: "/api/v1/commands/enqueue",
    summary: "leave a command to the queue",
    scope: "command",
    body: commandRequest,
    answers: { 202: { description: "on disk", schema: z.object({ queued: z.boolean(), command_id: z.string() }) } },
  },
  {
    method: "GET",
    path: "/api/v1/commands/wait/:hash",
    summary: "for pollers: the next command of this plane, or 204 after `timeout` seconds",
    scope: "queue:work",
    query: queries.wait,
    answers: {
      ...ok(
        "handed out to this caller and to nobody else",
        z.object({
          id: z.string(),
          command_id: z.string(),
          name: z.string(),
          params: z.record(z.string(), z.unknown()),
          plane: z.enum(PLANES),
        }),
      ),
      204: { description: "nothing came" },
    },
  },
  {
    method: "POST",
    path: "/api/v1/commands/report",
    summary: "for pollers: what came of a command that was handed to this caller",
    scope: "queue:work",
    body: reportRequest,
    answers: ok("counted once", z.object({ accepted: z.boolean() })),
  },
  {
    method: "GET",
    path: "/api/v1/commands/:id",
    summary: "what became of a command of this plane",
    scope: "containers:read",
    answers: ok("`status` is queued or running while it is not over", commandReport),
  },
  {
    method: "POST",
    path: "/api/v1/auth/rotate-token",
    summary: "a new token for the caller's plane, drawn by the server and kept by its provider",
    scope: "auth:rotate",
    body: rotateRequest,
    answers: ok(
      "fingerprints only",
      z.object({ rotated: z.boolean(), plane: z.enum(PLANES), fingerprint: z.string() }),
    ),
  },
  {
    method: "POST",
    path: "/api/v1/auth/assertion",
    summary: "who the caller is, in a form that the panel can check",
    scope: "auth:assert",
    body: assertionRequest,
    answers: ok("for `Authorization: Assertion`", z.object({ assertion: z.string(), expires_at: z.number() })),
  },
  {
    method: "GET",
    path: "/api/v1/tickets",
    summary: "tickets, newest first, and who watches for more",
    scope: "tickets:read",
    query: queries.list,
    answers: ok("", z.object({ tickets: rows, monitors: rows })),
  },
  {
    method: "GET",
    path: "/api/v1/sessions",
    summary: "operators' sessions, newest first",
    scope: "sessions:read",
    query: queries.sessions,
    answers: ok("", z.object({ sessions: rows })),
  },
  {
    method: "GET",
    path: "/api/v1/sessions/:id/entries",
    summary: "a session's steps after entry `after`; waits up to `timeout` seconds for the next",
    scope: "sessions:read",
    query: queries.entries,
    answers: ok("in true order", z.object({ entries: rows })),
  },
  {
    method: "GET",
    path: "/api/v1/approvals",
    summary: "what waits for a person, and what people said",
    scope: "approvals:read",
    query: queries.approvals,
    answers: ok("", z.object({ approvals: rows })),
  },
  {
    method: "POST",
    path: "/api/v1/approvals/:id",
    summary: "a person's answer",
    scope: "approvals:decide",
    body: decideRequest,
    answers: ok("as it stands now", z.object({ approval: z.record(z.string(), z.unknown()) })),
  },
  {
    method: "GET",
    path: "/api/v1/watchdog",
    summary: "what the watchdog thinks of each container, and its decisions after event `after`",
    scope: "watchdog:read",
    query: queries.watchdog,
    answers: ok("", z.object({ targets: rows, events: rows })),
  },
  {
    method: "GET",
    path: "/api/v1/events",
    summary: "what happens, after event `after`: server-sent events, or JSON after up to `timeout` seconds",
    scope: "events:read",
    query: queries.events,
    answers: ok("", z.object({ events: rows, last: z.string() })),
  },
  {
    method: "GET",
    path: "/api/v1/engine/events",
    summary: "events of the subject's containers from now on, as server-sent events",
    scope: "containers:read",
    answers: ok("text/event-stream"),
  },
];

/** Named schemas of the document. */
export const COMPONENTS = { Fence: fence, ApprovalProof: approvalProof, Error: ERROR_BODY } as const;

/** What each code says, for the document. */
export const ERROR_TEXTS: Readonly<Record<ApiErrorCode, string>> = {
  "too-large": "the body is longer than the server takes",
  "signature-missing": "a header is missing or malformed",
  "signature-invalid": "the signature does not fit the request",
  "timestamp-skew": "the clocks are too far apart, or the request is old",
  "key-unknown": "no such key on this plane: it was rotated or revoked",
  "stale-epoch": "signed for another server or another start; the answer names the right ones",
  "nonce-seen": "this transmission has come before",
  "scope-missing": "the key may not do this",
  "observe-mode": "the agent may only look",
  "approval-required": "a person has to say yes first",
  "approval-invalid": "a person said yes to something else, to somebody else, or it was used",
  "rate-limited": "too many; `retry_after_ms` says when",
  malformed: "the request is not what the document says",
  "unknown-command": "there is no such command",
  "key-missing": "neither an idempotency key nor a command id",
  "key-reused": "the idempotency key has been used with another request",
  "lease-lost": "the caller does not hold this incident any more",
  "wrong-state": "not while it is as it is",
  "not-found": "there is no such thing",
  "audit-failed": "the audit cannot be written: nothing runs",
  unavailable: "the server ends, or what the endpoint needs does not answer",
};
