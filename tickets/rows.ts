import { z } from "zod";
import type { Component, IncidentTicket, InstanceId, SubmittedDiagnosis } from "../harness/protocol.ts";
import { timeOf } from "./time-form.ts";
import { TICKET_STATUSES } from "./transitions.ts";
import type { EpochMs } from "../harness/base/clock.ts";
import type { MonitorState, Session, StoredLogEntry, Ticket } from "./types.ts";

/*
 * SQLite keeps any value in any column, and what other programs or people wrote by hand is not ours to judge: one odd
 * row must not take all the others out of reach. It is shown as what is there, and read as what does the least.
 */
const textOf = (value: unknown): string => (Buffer.isBuffer(value) ? value.toString("utf8") : String(value));
const text = z.unknown().transform(textOf);
const textOrNull = z.unknown().transform((value) => (value == null ? null : textOf(value)));
const time = text.transform(timeOf);
const timeOrNull = textOrNull.transform((value) => (value === null ? null : timeOf(value)));
const count = z.number().catch(1);
/** Whatever is not clearly a no counts: it holds people's hands, or a program's, back. */
const flag = z.unknown().transform((value) => value != null && !/^(0|false|no|)$/i.test(textOf(value)));
const ending = z.enum(["resolved", "no-fault", "escalated", "failed", "limit"]);
/** JSON of ours or theirs; what does not parse is shown as the text that it is. */
const json = textOrNull.transform((said): unknown => {
  if (said === null) return null;
  try {
    return JSON.parse(said);
  } catch {
    return said;
  }
});

const ticketRow = z.object({
  id: z.number(),
  // A word that neither program knows is somebody's (UNKNOWN_STATUS): nobody claims it until a person opens it again.
  status: z.enum(TICKET_STATUSES).catch("acknowledged"),
  instance: z.string().nullable(),
  invariant_name: text,
  store_id: textOrNull,
  severity: z.enum(["warning", "critical"]).catch("warning"),
  message: text,
  occurrence_count: count,
  first_seen_at: time,
  last_seen_at: time,
  resolved_at: timeOrNull,
  metric_snapshot: json,
  subject_context: textOrNull,
  diagnosis: textOrNull,
  batch_key: textOrNull,
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
  session_id: text,
  ticket_id: z.number().catch(0),
  batch_key: z.string().nullable(),
  instance: z.string().nullable(),
  status: z.enum(["running", "resolved", "escalated", "failed"]).catch("failed"),
  ending: z.enum([...ending.options, "released", "lost"]).nullable(),
  outcome_summary: textOrNull,
  operator: z.string().nullable(),
  scripted: flag.nullable(),
  model: z.string().nullable(),
  details: json.pipe(z.record(z.string(), z.string()).nullable()),
  holder: z.string().nullable(),
  attempt: z.number().nullable(),
  started_at: time,
  ended_at: timeOrNull,
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
  session_id: text,
  entry_type: z.enum(["reasoning", "tool_call", "tool_result"]).catch("reasoning"),
  content: text,
  raw_content: textOrNull,
  tool_name: textOrNull,
  tool_params: json,
  exit_code: z.number().nullable().catch(null),
  effect: z.enum(["read", "write", "destructive"]).nullable(),
  timestamp: time,
  ended_at: timeOrNull,
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
  invariants: z.string().transform((said) => z.array(z.string()).parse(JSON.parse(said))),
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
