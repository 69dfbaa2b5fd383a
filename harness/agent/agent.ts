import { createHash } from "node:crypto";
import { withDeadline } from "../base/deadline.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import type { Clock, Incident, InstanceId, Log, OperatorEnding } from "../protocol.ts";
import { LeaseLostError, watchTickets, type SessionEnd, type Tickets } from "../../tickets/index.ts";
import type { CurrentWork } from "./current-work.ts";
import { keepLease } from "./lease.ts";
import { noUsage } from "./limits.ts";
import { askPeople } from "./propose.ts";
import type { TranscriptEntry } from "./transcript.ts";
import { workIncident, type WorkOptions } from "./work.ts";

export interface AgentOptions extends Omit<WorkOptions, "incident" | "latest" | "sink" | "checkLease" | "people"> {
  readonly tickets: Tickets;
  /** The only instance whose incidents it claims. */
  readonly instance: InstanceId;
  /** Unique per process, e.g. host, pid and random hex. */
  readonly holder: string;
  readonly leaseMs: number;
  /** How long a proposal waits for a person in mode `propose`. Default 10 min. */
  readonly approvalMs?: number;
  /** Told what is being worked on, for whoever carries a write out. */
  readonly current?: CurrentWork;
  /** End after the first incident. */
  readonly once: boolean;
  /** Rows of the Python lab have no instance; they count as this one. */
  readonly takesUnscoped: boolean;
}

/** `aborted`: the lab itself failed, and the trial in which that happened says nothing about the operator. */
export type WorkedIncident =
  | { readonly outcome: "ended"; readonly sessionId: string; readonly ending: OperatorEnding }
  | { readonly outcome: "lost" | "released"; readonly sessionId: string }
  | { readonly outcome: "aborted"; readonly sessionId: string; readonly error: unknown };

const APPROVAL_MS = 10 * 60_000;

type AgentDeps = { readonly clock: Clock; readonly log: Log };

/**
 * Waits for incidents of its instance and works them one after another until the signal aborts (or after the first).
 * On abort the claim in hand is released and its session ended, before this resolves.
 *
 * @returns how the last incident went; null when there was none.
 * @throws HarnessError of the ticket file that could not be opened, read or written.
 */
export async function runAgent(
  options: AgentOptions,
  deps: AgentDeps,
  signal: AbortSignal,
): Promise<WorkedIncident | null> {
  const { tickets, instance, holder, leaseMs, once } = options;
  let last: WorkedIncident | null = null;
  let shared = false;
  const unscoped = options.takesUnscoped ? { unscopedAs: instance } : {};
  for await (const _ of watchTickets(tickets.path, { ...deps, signal })) {
    for (;;) {
      if (signal.aborted) return last;
      const incident = await tickets
        .claimNext({ instances: [instance], holder, leaseMs, ...unscoped })
        .catch((error: unknown) => {
          if (!(error instanceof HarnessError && error.code === "tickets-foreign")) throw error;
          // It passes: whoever else keeps tickets here is ended, or a person's edit grows old.
          if (!shared) deps.log.warn("tickets.shared", { why: error.message });
          shared = true;
          return null;
        });
      if (incident === null) break;
      shared = false;
      last = await workClaim(incident, options, deps, signal);
      if (once) return last;
    }
  }
  return last;
}

async function workClaim(
  incident: Incident,
  options: AgentOptions,
  deps: AgentDeps,
  signal: AbortSignal,
): Promise<WorkedIncident> {
  const { tickets, operator } = options;
  const log = deps.log.child({ incident: incident.batchKey, attempt: incident.attempt });
  log.info("incident.claimed", { tickets: incident.tickets.map(({ id }) => id), holder: incident.holder });
  const sessionId = await tickets.startSession(incident, {
    operator: operator.name,
    scripted: operator.scripted,
    model: operator.details?.["model"] ?? null,
    details: { ...operator.details, briefing: digestOf(options.kit.briefing) },
  });
  await using lease = keepLease(incident, { ...options, ...deps, log });
  const working = AbortSignal.any([signal, lease.signal]);
  const people =
    options.mode === "propose"
      ? askPeople({
          approvals: tickets.approvals,
          engine: options.engine,
          incident,
          sessionId,
          operator: operator.name,
          timeoutMs: options.approvalMs ?? APPROVAL_MS,
        })
      : null;
  options.current?.begin(incident, people);
  try {
    const result = await workIncident(
      {
        ...options,
        incident,
        people,
        latest: () => lease.incident(),
        sink: async (entry) => void (await tickets.log(sessionId, logEntry(entry))),
        checkLease: () => tickets.assertHeld(incident),
      },
      { ...deps, log },
      working,
    );
    await lease.end();
    await tickets.complete(incident, { sessionId, ...result });
    log.info("session.ended", {
      session: sessionId,
      ending: result.ending,
      reason: result.reason,
      usage: result.usage,
    });
    return { outcome: "ended", sessionId, ending: result.ending };
  } catch (error) {
    await lease.end();
    return await endBroken(error, {
      incident,
      sessionId,
      interrupted: signal.aborted,
      tickets,
      log,
      clock: deps.clock,
    });
  } finally {
    options.current?.end();
  }
}

interface BrokenWork {
  readonly incident: Incident;
  readonly sessionId: string;
  readonly interrupted: boolean;
  readonly tickets: Tickets;
  readonly log: Log;
  readonly clock: Clock;
}

/** How long the last words to the ticket file may take; a supervisor kills what takes longer. */
const LAST_WORDS_MS = 5_000;

/** Ends a session that did not end by itself. Not under the signal: that is what has aborted. */
async function endBroken(error: unknown, work: BrokenWork): Promise<WorkedIncident> {
  const { incident, sessionId, tickets, log, clock } = work;
  const reason = errorText(error);
  const say = (task: () => Promise<void>) =>
    withDeadline(clock, { ms: LAST_WORDS_MS, what: "ending the session" }, task).catch((failure: unknown) =>
      log.error("session.not-ended", { session: sessionId, why: errorText(failure) }),
    );
  if (error instanceof LeaseLostError) {
    log.warn("lease.lost", { session: sessionId, reason });
    await say(() => tickets.endSession(sessionId, { ending: "lost", reason }));
    return { outcome: "lost", sessionId };
  }
  if (work.interrupted) {
    log.info("incident.released", { session: sessionId, reason });
    await say(() => tickets.release(incident, { sessionId, reason }));
    return { outcome: "released", sessionId };
  }
  log.error("session.aborted", { session: sessionId, reason, code: error instanceof HarnessError ? error.code : null });
  const end: SessionEnd = {
    ending: "failed",
    reason: `the agent could not go on: ${reason}`,
    diagnosis: null,
    usage: noUsage,
  };
  await say(() => tickets.complete(incident, { sessionId, ...end }));
  return { outcome: "aborted", sessionId, error };
}

/** The briefing names addresses, which differ from instance to instance; the rest of the prompt has a digest of its own. */
function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function logEntry(entry: TranscriptEntry) {
  const { type, summary, raw, tool, params, exitCode, effect, startedAt, endedAt } = entry;
  return {
    type,
    summary,
    raw,
    params,
    startedAt,
    endedAt: endedAt ?? startedAt,
    ...(tool === null ? {} : { tool }),
    ...(exitCode === null ? {} : { exitCode }),
    ...(effect === null ? {} : { effect }),
  };
}
