/**
 * What the panel reads through the control API, and in which form: keys that are not listed here are ignored, so the
 * server may send more. The panel's own token signs everything.
 */
import { z } from "zod";
import type { EpochMs } from "../base/clock.ts";
import type { ControlClient } from "../control/client/types.ts";

/** The control client, as much of it as the panel uses. */
export type ControlPort = Pick<ControlClient, "execute" | "get" | "post" | "health" | "capabilities" | "metrics">;

const epoch = z.number().transform((ms) => ms as EpochMs);
const count = z.number();

const tokenHealth = z.object({ token_age_seconds: z.number().nullable(), last_refresh_ok: z.boolean().nullable() });

const part = z.object({ ok: z.boolean(), why: z.string().nullable() }).nullish();

/** `GET /health`; `planes` is ours, beside the original's keys. */
export const healthSchema = z.object({
  status: z.string(),
  ...tokenHealth.shape,
  command_metrics: z.object({
    status_panel_count: count,
    compose_agent_count: count,
    total_count: count,
    last_control_plane: z.string().nullable(),
    last_command_timestamp_ms: z.number().nullable(),
  }),
  planes: z.record(z.string(), tokenHealth).optional(),
  engine: part,
  tickets: part,
  audit: part,
  /** What the agent's plane may do: observe, propose or execute. */
  mode: z.string().optional(),
});
export type ControlHealth = z.output<typeof healthSchema>;

/** `GET /capabilities`. */
export const capabilitiesSchema = z.object({
  compose_agent: z.boolean(),
  control_plane: z.string(),
  version: z.string(),
  features: z.array(z.string()),
});
export type ControlCapabilities = z.output<typeof capabilitiesSchema>;

const effect = z.enum(["read", "write", "destructive"]);
const severity = z.enum(["warning", "critical"]).catch("critical");

/** One row of `GET /api/v1/tickets`: `Ticket` of `tickets/types.ts`. */
const ticket = z.object({
  id: z.number(),
  status: z.string(),
  invariant: z.string(),
  component: z.string().nullable(),
  severity,
  message: z.string(),
  occurrences: z.number(),
  firstSeenAt: epoch,
  lastSeenAt: epoch,
  resolvedAt: epoch.nullable(),
  batchKey: z.string(),
  held: z.boolean(),
  manual: z.boolean(),
  escalated: z.boolean(),
  attempt: z.number(),
  holder: z.string().nullable(),
  leaseUntil: epoch.nullable(),
  ending: z.string().nullable(),
});
export type TicketRow = z.output<typeof ticket>;
export const ticketsSchema = z.object({
  tickets: z.array(ticket),
  /** Who opens tickets; absent = not told. */
  monitors: z.array(z.object({ alive: z.boolean() })).optional(),
});

const diagnosis = z.object({
  cause: z.string(),
  components: z.array(z.string()),
  explanation: z.string(),
});

/** One row of `GET /api/v1/sessions`: `Session` of `tickets/types.ts`. */
const session = z.object({
  sessionId: z.string(),
  ticketId: z.number(),
  batchKey: z.string().nullable(),
  status: z.string(),
  ending: z.string().nullable(),
  reason: z.string().nullable(),
  operator: z.string().nullable(),
  scripted: z.boolean().nullable(),
  model: z.string().nullable(),
  attempt: z.number().nullable(),
  startedAt: epoch,
  endedAt: epoch.nullable(),
  diagnosis: diagnosis.nullable().catch(null),
  usage: z.object({ usd: z.number(), turns: z.number() }),
});
export type SessionRow = z.output<typeof session>;
export const sessionsSchema = z.object({ sessions: z.array(session) });

/** One row of `GET /api/v1/sessions/{id}/entries?after=`: `StoredLogEntry` of `tickets/types.ts`. */
const entry = z.object({
  id: z.number(),
  sessionId: z.string(),
  type: z.enum(["reasoning", "tool_call", "tool_result"]),
  summary: z.string(),
  raw: z.string(),
  tool: z.string().nullable(),
  params: z.unknown(),
  exitCode: z.number().nullable(),
  effect: effect.nullable(),
  startedAt: epoch,
  endedAt: epoch,
});
export type EntryRow = z.output<typeof entry>;
export const entriesSchema = z.object({ entries: z.array(entry) });

/** One row of `GET /api/v1/approvals`: `Approval` of `tickets/approvals.ts`. */
const approval = z.object({
  id: z.string(),
  status: z.string(),
  claim: z.object({ batchKey: z.string() }),
  operator: z.string(),
  tool: z.string(),
  input: z.unknown(),
  effect,
  callDigest: z.string(),
  state: z.unknown(),
  requestedAt: epoch,
  remainingMs: z.number(),
  decidedAt: epoch.nullable(),
  decidedBy: z.string().nullable(),
  reason: z.string().nullable(),
});
export type ApprovalRow = z.output<typeof approval>;
export const approvalsSchema = z.object({ approvals: z.array(approval) });

const watchdogTarget = z.object({
  deployment: z.string(),
  component: z.string(),
  state: z.string(),
  reason: z.string(),
  attempts: z.number(),
  maxAttempts: z.number(),
  gaveUp: z.boolean(),
  legacy: z.boolean(),
  nextAttemptAt: epoch.nullable(),
  lookedAt: epoch,
  everyMs: z.number(),
});
export type WatchdogTargetRow = z.output<typeof watchdogTarget>;

const watchdogEvent = z.object({
  id: z.number(),
  component: z.string(),
  at: epoch,
  kind: z.string(),
  state: z.string(),
  reason: z.string(),
  attempt: z.number(),
});
export type WatchdogEventRow = z.output<typeof watchdogEvent>;

/** `GET /api/v1/watchdog`. */
export const watchdogSchema = z.object({ targets: z.array(watchdogTarget), events: z.array(watchdogEvent) });
