import { z } from "zod";
import type { Component, IncidentTicket, InstanceId, SubmittedDiagnosis } from "../harness/protocol.ts";
import { timeOf } from "./time-form.ts";
import { TICKET_STATUSES } from "./transitions.ts";
import type { EpochMs } from "../harness/base/clock.ts";
import type { MonitorState, Session, StoredLogEntry, Ticket } from "./types.ts";

const time = z.string().transform(timeOf);
const flag = z.union([z.literal(0), z.literal(1), z.boolean()]).transform(Boolean);
const ending = z.enum(["resolved", "no-fault", "escalated", "failed", "limit"]);
/** JSON of ours or theirs; what does not parse is shown as the text that it is. */
const json = z
  .string()
  .nullable()
  .transform((text): unknown => {
    if (text === null) return null;
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  });

const ticketRow = z.object({
  id: z.number(),
  status: z.enum(TICKET_STATUSES),
  instance: z.string().nullable(),
  invariant_name: z.string(),
  store_id: z.union([z.string(), z.number().transform(String)]).nullable(),
  severity: z.enum(["warning", "critical"]).catch("warning"),
  message: z.string(),
  occurrence_count: z.number(),
  first_seen_at: time,
  last_seen_at: time,
  resolved_at: time.nullable(),
  metric_snapshot: json,
  subject_context: z.string().nullable(),
  diagnosis: z.string().nullable(),
  batch_key: z.string().nullable(),
  held: flag,
  manual: flag,
  escalated: flag,
  attempt: z.number(),
  holder: z.string().nullable(),
  lease_until_ms: z.number().nullable(),
  ending: ending.nullable().catch(null),
});

export function toTicket(row: unknown): Ticket {
  const t = ticketRow.parse(row);
  return {
    id: t.id,
    status: t.status,
    instance: t.instance as InstanceId | null,
    invariant: t.invariant_name,
    component: t.store_id as Component | null,
    severity: t.severity,
    message: t.message,
    occurrences: t.occurrence_count,
    firstSeenAt: t.first_seen_at,
    lastSeenAt: t.last_seen_at,
    resolvedAt: t.resolved_at,
    snapshot: t.metric_snapshot,
    context: t.subject_context,
    diagnosis: t.diagnosis,
    batchKey: t.batch_key ?? `ticket-${t.id}`,
    held: t.held,
    manual: t.manual,
    escalated: t.escalated,
    attempt: t.attempt,
    holder: t.holder,
    leaseUntil: t.lease_until_ms as EpochMs | null,
    ending: t.ending,
  };
}

export function toIncidentTicket(row: unknown): IncidentTicket {
  const { id, invariant, component, severity, message, firstSeenAt, snapshot, context } = toTicket(row);
  return { id, invariant, component, severity, message, firstSeenAt, snapshot, context };
}

const sessionRow = z.object({
  session_id: z.string(),
  ticket_id: z.number(),
  batch_key: z.string().nullable(),
  instance: z.string().nullable(),
  status: z.enum(["running", "resolved", "escalated", "failed"]),
  ending: z.enum([...ending.options, "released", "lost"]).nullable(),
  outcome_summary: z.string().nullable(),
  operator: z.string().nullable(),
  scripted: flag.nullable(),
  model: z.string().nullable(),
  details: json.pipe(z.record(z.string(), z.string()).nullable()),
  holder: z.string().nullable(),
  attempt: z.number().nullable(),
  started_at: time,
  ended_at: time.nullable(),
  diagnosis: json,
});

const usageRow = z.object({
  input_tokens: z.number(),
  output_tokens: z.number(),
  cache_read_tokens: z.number(),
  cache_write_tokens: z.number(),
  usd: z.number(),
  turns: z.number(),
});

export function toUsage(row: unknown): Session["usage"] {
  const u = usageRow.parse(row);
  return {
    inputTokens: u.input_tokens,
    outputTokens: u.output_tokens,
    cacheReadTokens: u.cache_read_tokens,
    cacheWriteTokens: u.cache_write_tokens,
    usd: u.usd,
    turns: u.turns,
  };
}

export function toSession(row: unknown): Session {
  const s = sessionRow.parse(row);
  return {
    sessionId: s.session_id,
    ticketId: s.ticket_id,
    batchKey: s.batch_key,
    instance: s.instance as InstanceId | null,
    status: s.status,
    ending: s.ending,
    reason: s.outcome_summary,
    operator: s.operator,
    scripted: s.scripted,
    model: s.model,
    details: s.details ?? {},
    holder: s.holder,
    attempt: s.attempt,
    startedAt: s.started_at,
    endedAt: s.ended_at,
    // Written by `complete` from the same type.
    diagnosis: s.diagnosis as SubmittedDiagnosis | null,
    usage: toUsage(row),
  };
}

const logRow = z.object({
  id: z.number(),
  session_id: z.string(),
  entry_type: z.enum(["reasoning", "tool_call", "tool_result"]),
  content: z.string(),
  raw_content: z.string().nullable(),
  tool_name: z.string().nullable(),
  tool_params: json,
  exit_code: z.number().nullable(),
  effect: z.enum(["read", "write", "destructive"]).nullable(),
  timestamp: time,
  ended_at: time.nullable(),
});

export function toLogEntry(row: unknown): StoredLogEntry {
  const e = logRow.parse(row);
  return {
    id: e.id,
    sessionId: e.session_id,
    type: e.entry_type,
    summary: e.content,
    raw: e.raw_content ?? e.content,
    tool: e.tool_name,
    params: e.tool_params,
    exitCode: e.exit_code,
    effect: e.effect,
    startedAt: e.timestamp,
    endedAt: e.ended_at ?? e.timestamp,
  };
}

const monitorRow = z.object({
  monitor: z.string(),
  instance: z.string(),
  subject: z.string(),
  every_ms: z.number(),
  invariants: z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text))),
  beat_at: time,
  beat_ms: z.number(),
});

export function toMonitor(row: unknown, nowMs: number): MonitorState {
  const m = monitorRow.parse(row);
  return {
    monitor: m.monitor,
    instance: m.instance as InstanceId,
    subject: m.subject,
    everyMs: m.every_ms,
    invariants: m.invariants,
    lastBeatAt: m.beat_at,
    alive: nowMs - m.beat_ms <= 3 * m.every_ms,
  };
}
