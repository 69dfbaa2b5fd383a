export {
  APPROVAL_STATUSES,
  callDigest,
  type Approval,
  type ApprovalFilter,
  type Approvals,
  type ApprovalStatus,
  type Decision,
  type Proposal,
  type UseOutcome,
} from "./approvals.ts";
export {
  tokenFingerprint,
  type Admission,
  type Door,
  type IncidentAccess,
  type IssuedToken,
} from "./incident-access.ts";
export { LeaseLostError } from "./lease-lost-error.ts";
export { openTickets, type TicketOptions } from "./open-tickets.ts";
export {
  type NewPeopleCommand,
  type PeopleCommand,
  type PeopleCommands,
  type PeopleCommandState,
} from "./people-commands.ts";
export { TICKET_STATUSES, TRANSITIONS, type TicketStatus, type Transition } from "./transitions.ts";
export { watchTickets, type WatchOptions } from "./watch-tickets.ts";
export type {
  Claim,
  ClaimRequest,
  Completion,
  HandMadeTicket,
  LogEntry,
  MonitorBeat,
  MonitorState,
  ReportOutcome,
  ResolveOutcome,
  Session,
  SessionEnd,
  SessionStart,
  StoredLogEntry,
  Ticket,
  TicketFilter,
  Tickets,
  ViolationReport,
} from "./types.ts";
export type {
  NewWatchdogEvent,
  WatchdogEvent,
  WatchdogEventFilter,
  WatchdogIntent,
  WatchdogKind,
  WatchdogLog,
  WatchdogState,
  WatchdogTarget,
  WatchdogTotals,
} from "./watchdog-events.ts";
