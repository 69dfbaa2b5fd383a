import type { Clock } from "../harness/base/clock.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Log } from "../harness/base/log.ts";
import { ApprovalDesk } from "./approvals.ts";
import { Desk } from "./desk.ts";
import { AccessBook } from "./incident-access.ts";
import { PeopleCommandTable } from "./people-commands.ts";
import { Queue } from "./queue.ts";
import { Sessions } from "./sessions.ts";
import { TicketFile } from "./ticket-file.ts";
import type { Tickets } from "./types.ts";
import { Violations } from "./violations.ts";
import { WatchdogTable } from "./watchdog-events.ts";

export interface TicketOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Sessions per incident before it is escalated. Default 3. */
  readonly maxAttempts?: number;
  /** How long after "fixed" a violation may still be seen before the claim counts as not verified. Default 30 s. */
  readonly verifyMs?: number;
  /** How long an operation waits for other writers before `tickets-locked`. Default 5 s. */
  readonly lockTimeoutMs?: number;
}

const DEFAULTS = { maxAttempts: 3, verifyMs: 30_000, lockTimeoutMs: 5_000 };
const ACT_MARGIN_MS = 100;

/** Opens the file, makes folder (0700) and file (0600) when missing, and brings an older file up to date. */
export async function openTickets(path: string, options: TicketOptions): Promise<Tickets> {
  const settings = { ...DEFAULTS, ...options };
  const file = await TicketFile.open(path, settings);
  const queue = new Queue(file, settings);
  const sessions = new Sessions(file, queue, settings.ids);
  const violations = new Violations(file, settings.ids, settings.maxAttempts);
  const desk = new Desk(file, violations);
  return {
    path,
    watchdog: new WatchdogTable(file),
    people: new PeopleCommandTable(file),
    approvals: new ApprovalDesk(file, settings),
    access: new AccessBook(file, settings.ids),
    reportViolation: (report) => violations.report(report),
    resolveVerified: (id) => violations.resolveVerified(id),
    unresolved: (instance) => violations.unresolved(instance),
    beat: (beat) => violations.beat(beat),
    endBeat: (monitor) => violations.endBeat(monitor),
    monitors: () => violations.monitors(),
    claimNext: (request) => queue.claimNext(request),
    renew: (incident, leaseMs) => queue.renew(incident, leaseMs),
    refresh: (incident) => queue.refresh(incident),
    assertHeld: (claim, marginMs = ACT_MARGIN_MS) => queue.assertHeld(claim, marginMs),
    release: (claim, end) => queue.release(claim, end),
    complete: (claim, completion) => queue.complete(claim, completion),
    startSession: (incident, start) => sessions.start(incident, start),
    log: (sessionId, entry) => sessions.log(sessionId, entry),
    endSession: (sessionId, end) => sessions.end(sessionId, end),
    listSessions: (filter = {}) => sessions.list(filter),
    session: (sessionId) => sessions.get(sessionId),
    logEntries: (sessionId, afterId = 0) => sessions.entries(sessionId, afterId),
    usageOf: (ticketId) => sessions.usageOf(ticketId),
    list: (filter = {}) => desk.list(filter),
    get: (id) => desk.get(id),
    create: (made) => desk.create(made),
    hold: (id) => desk.hold(id),
    unhold: (id) => desk.unhold(id),
    resolve: (id) => desk.resolve(id),
    reopen: (id) => desk.reopen(id),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
