/** What the ticket file gives and takes. Types only. */
import type { EpochMs } from "../harness/base/clock.ts";
import type {
  Component,
  Effect,
  Incident,
  InstanceId,
  OperatorEnding,
  Severity,
  SubmittedDiagnosis,
  Usage,
} from "../harness/protocol.ts";
import type { Approvals } from "./approvals.ts";
import type { IncidentAccess } from "./incident-access.ts";
import type { TicketStatus } from "./transitions.ts";
import type { PeopleCommands } from "./people-commands.ts";
import type { WatchdogLog } from "./watchdog-events.ts";

/** One ticket as people and programs read it. */
export interface Ticket {
  readonly id: number;
  readonly status: TicketStatus;
  /** Null in rows of the Python lab, which knows one cluster. */
  readonly instance: InstanceId | null;
  readonly invariant: string;
  readonly component: Component | null;
  readonly severity: Severity;
  readonly message: string;
  readonly occurrences: number;
  readonly firstSeenAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  readonly resolvedAt: EpochMs | null;
  readonly snapshot: unknown;
  readonly context: string | null;
  readonly diagnosis: string | null;
  /** Tickets with the same key form one incident. */
  readonly batchKey: string;
  /** A person protects it: no agent claims its incident, no monitor resolves it. */
  readonly held: boolean;
  /** Nothing verifies it: it ends at `diagnosed` and a person resolves it. */
  readonly manual: boolean;
  /** The incident is with people; agents leave it alone until it is reopened. */
  readonly escalated: boolean;
  /** Fencing number of the last claim; only ever grows within an incident. */
  readonly attempt: number;
  /** Who works on it now or did last, and until when; null = nobody, or (status `acknowledged`) a foreign program. */
  readonly holder: string | null;
  readonly leaseUntil: EpochMs | null;
  /** How the last session on it ended. */
  readonly ending: OperatorEnding | null;
}

export interface ViolationReport {
  readonly instance: InstanceId;
  readonly invariant: string;
  readonly component: Component | null;
  readonly severity: Severity;
  /** What was seen. */
  readonly message: string;
  /** JSON-able numbers behind the message. */
  readonly snapshot: unknown;
  /** Added to the operator's prompt. */
  readonly context?: string;
}

/**
 * `opened`: a new ticket. `updated`: seen again. `reopened`: a session said it was fixed, the verify window is over and
 * it is not ("claimed, not verified"). `escalated`: the same, with no attempts left.
 */
export interface ReportOutcome {
  readonly action: "opened" | "updated" | "reopened" | "escalated";
  readonly ticket: Ticket;
}

/** Why a held invariant's ticket was or was not resolved. Everything but `resolved` is worth asking again later. */
export type ResolveOutcome = "resolved" | "claimed" | "held" | "manual" | "foreign" | "gone";

export interface ClaimRequest {
  /** Only incidents of these instances. */
  readonly instances: readonly InstanceId[];
  /** Unique per agent process, e.g. host, pid and random hex. */
  readonly holder: string;
  readonly leaseMs: number;
  /** Takes rows without an instance (written by the Python lab) as this instance's; it must be among `instances`. */
  readonly unscopedAs?: InstanceId;
}

/** Who holds what: the part of an incident that guards every change. */
export type Claim = Pick<Incident, "batchKey" | "holder" | "attempt">;

export interface SessionStart {
  readonly operator: string;
  readonly scripted: boolean;
  readonly model: string | null;
  /** What else makes it another operator, e.g. `prompt` (version and digest); omitted = nothing. */
  readonly details?: Readonly<Record<string, string>>;
}

export interface SessionEnd {
  readonly ending: OperatorEnding;
  /** One sentence. */
  readonly reason: string;
  readonly diagnosis: SubmittedDiagnosis | null;
  readonly usage: Usage;
}

export interface Completion extends SessionEnd {
  readonly sessionId: string;
}

export type LogEntryType = "reasoning" | "tool_call" | "tool_result";

export interface LogEntry {
  readonly type: LogEntryType;
  readonly summary: string;
  /** The whole of it; the summary when omitted. */
  readonly raw?: string;
  readonly tool?: string;
  /** JSON-able input of the call. */
  readonly params?: unknown;
  readonly exitCode?: number;
  /** Of a call or result: what it does to the world; omitted = not known. In a column of ours. */
  readonly effect?: Effect;
  readonly startedAt: EpochMs;
  readonly endedAt: EpochMs;
}

export interface StoredLogEntry extends Required<Omit<LogEntry, "tool" | "exitCode" | "effect">> {
  readonly id: number;
  readonly sessionId: string;
  readonly tool: string | null;
  readonly exitCode: number | null;
  readonly effect: Effect | null;
}

export interface Session {
  readonly sessionId: string;
  readonly ticketId: number;
  readonly batchKey: string | null;
  readonly instance: InstanceId | null;
  readonly status: "running" | "resolved" | "escalated" | "failed";
  /** The exact ending; `lost` = the lease ended under it. Null while running, and in rows of the Python lab. */
  readonly ending: OperatorEnding | "released" | "lost" | null;
  readonly reason: string | null;
  readonly operator: string | null;
  readonly scripted: boolean | null;
  readonly model: string | null;
  readonly details: Readonly<Record<string, string>>;
  readonly holder: string | null;
  readonly attempt: number | null;
  readonly startedAt: EpochMs;
  readonly endedAt: EpochMs | null;
  readonly diagnosis: SubmittedDiagnosis | null;
  readonly usage: Usage;
}

export interface MonitorBeat {
  readonly instance: InstanceId;
  /** Name of the subject, e.g. `tikv`. */
  readonly subject: string;
  /** Unique per monitor process. */
  readonly monitor: string;
  /** How often it beats; it counts as alive for three times as long. */
  readonly everyMs: number;
  readonly invariants: readonly string[];
}

export interface MonitorState extends MonitorBeat {
  readonly alive: boolean;
  readonly lastBeatAt: EpochMs;
}

export interface HandMadeTicket {
  readonly instance: InstanceId;
  readonly invariant: string;
  readonly component: Component | null;
  readonly severity: Severity;
  readonly message: string;
  readonly manual: boolean;
  readonly context?: string;
}

export interface TicketFilter {
  readonly status?: TicketStatus;
  readonly instance?: InstanceId;
  readonly batchKey?: string;
  readonly limit?: number;
}

/**
 * One open ticket file. Every method is one transaction; every wait for another writer is asynchronous and bounded.
 *
 * All methods throw HarnessError `tickets-locked`, `tickets-readonly`, `tickets-full`, `tickets-corrupt`; those that
 * begin something (violations, claims, tickets by hand) `tickets-foreign` while another lab was seen to write; those that
 * name a ticket or session throw `not-found` when there is none.
 */
export interface Tickets extends AsyncDisposable {
  readonly path: string;
  /** What the watchdog of the control plane knows and decided. */
  readonly watchdog: WatchdogLog;
  /** What an agent in legacy mode carried out for people. */
  readonly people: PeopleCommands;
  /** Writes that wait for a person (safety mode `propose`). */
  readonly approvals: Approvals;
  /** Who may come in to an incident from outside (operator `external`). */
  readonly access: IncidentAccess;

  // ---- monitor

  /** Opens, or updates, the one unresolved ticket of this violation and joins it to the instance's current incident. */
  reportViolation(report: ViolationReport): Promise<ReportOutcome>;
  /** To be called once the ticket's invariant has held for its clear period. Never throws for a refusal. */
  resolveVerified(ticketId: number): Promise<ResolveOutcome>;
  /** The unresolved tickets of an instance, duplicates left out. */
  unresolved(instance: InstanceId): Promise<readonly Ticket[]>;
  beat(beat: MonitorBeat): Promise<void>;
  /** Removes the heartbeat: "no monitor is alive" without waiting for it to grow old. */
  endBeat(monitor: string): Promise<void>;
  monitors(): Promise<readonly MonitorState[]>;

  // ---- agent

  /**
   * Claims the most severe, then oldest, incident that is free: not held, not escalated, not awaiting verification,
   * nobody at work on its instance. Null when there is none. Sessions that an expired lease left behind end as `lost`.
   */
  claimNext(request: ClaimRequest): Promise<Incident | null>;
  /** Extends the lease; returns the incident with tickets that joined meanwhile. @throws LeaseLostError */
  renew(incident: Incident, leaseMs: number): Promise<Incident>;
  /** The incident as it is now, lease unchanged. @throws LeaseLostError */
  refresh(incident: Incident): Promise<Incident>;
  /**
   * The check just before an act: still the holder, same attempt, lease good for another `marginMs` (default 100),
   * nobody put a hold on it. @throws LeaseLostError
   */
  assertHeld(claim: Claim, marginMs?: number): Promise<void>;
  /** Gives the incident back unworked (SIGTERM); the attempt does not count. @throws LeaseLostError */
  release(incident: Claim, end: { readonly sessionId: string | null; readonly reason: string }): Promise<void>;
  /**
   * Ends session and claim. resolved, no-fault -> `diagnosed`, for the monitor to verify; escalated -> `diagnosed`, for
   * people; failed, limit -> `open` for the next attempt, or escalated when none is left. @throws LeaseLostError
   */
  complete(incident: Claim, completion: Completion): Promise<void>;

  // ---- sessions

  /** @returns the session's id, `{timestamp}-{8 hex}`. @throws LeaseLostError */
  startSession(incident: Incident, start: SessionStart): Promise<string>;
  /** Streams one entry. @returns its id; ids are in true order. */
  log(sessionId: string, entry: LogEntry): Promise<number>;
  /** For a session whose claim is gone; `complete` and `release` end theirs. No effect on one that has ended. */
  endSession(sessionId: string, end: SessionEnd | { readonly ending: "lost"; readonly reason: string }): Promise<void>;
  listSessions(filter?: { readonly ticketId?: number; readonly limit?: number }): Promise<readonly Session[]>;
  session(sessionId: string): Promise<Session>;
  logEntries(sessionId: string, afterId?: number): Promise<readonly StoredLogEntry[]>;
  /** Sum over all sessions that worked on this ticket's incident. */
  usageOf(ticketId: number): Promise<Usage>;

  // ---- people

  list(filter?: TicketFilter): Promise<readonly Ticket[]>;
  get(ticketId: number): Promise<Ticket>;
  /** @returns the new ticket, or the unresolved one that already says so. */
  create(ticket: HandMadeTicket): Promise<{ readonly ticket: Ticket; readonly created: boolean }>;
  /** Takes the incident out of every agent's hands at once: a live claim on it is lost. */
  hold(ticketId: number): Promise<Ticket>;
  unhold(ticketId: number): Promise<Ticket>;
  /** A person's word: resolves whatever its state; a held ticket is let go. */
  resolve(ticketId: number): Promise<Ticket>;
  /** Open again with fresh attempts. @throws HarnessError `already-running` while an agent holds it. */
  reopen(ticketId: number): Promise<Ticket>;
}
