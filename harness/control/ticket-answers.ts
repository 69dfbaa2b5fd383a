/**
 * What people see of the ticket file, and their word on a proposal: asked of the control server over HTTP, and of an
 * agent in legacy mode through the panel. One reading of both.
 */
import { z } from "zod";
import { APPROVAL_STATUSES, type StoredLogEntry, type Tickets } from "../../tickets/index.ts";
import type { Clock } from "../protocol.ts";

/** Steps of a session wake nobody (an agent writes many), so who waits for them looks this often. */
const ENTRIES_EVERY_MS = 100;

const after = z.coerce.number().int().min(0).default(0);
const limit = z.coerce.number().int().min(1).max(500).default(100);

export const ticketQueries = {
  list: z.object({ limit }),
  sessions: z.object({ limit, ticket: z.coerce.number().int().positive().optional() }),
  entries: z.object({
    after,
    timeout: z.coerce.number().min(0).max(60).default(0),
    /** At most so many steps, the oldest of those that follow; without it all. */
    limit: limit.optional(),
    /** Of each step's texts at most so many characters; without it all. */
    chars: z.coerce.number().int().min(100).max(1_000_000).optional(),
  }),
  approvals: z.object({ limit, status: z.enum(APPROVAL_STATUSES, { error: "no such status" }).optional() }),
  watchdog: z.object({ after, limit }),
} as const;

export const decideRequest = z.strictObject({
  decision: z.enum(["approve", "reject"]),
  /** Who decides, e.g. `panel:anna`. */
  by: z.string().min(1).max(100),
  reason: z.string().max(1_000).optional(),
  /** Of the call that was shown: any other is refused. */
  call_digest: z.string().max(100).optional(),
});

type Query<N extends keyof typeof ticketQueries> = z.output<(typeof ticketQueries)[N]>;

/** Everything here throws what the ticket file throws. */
export function ticketAnswers(file: Tickets, deploymentHash: string, clock: Clock) {
  return {
    /** With the monitors: without one that is alive nobody would open a ticket, whatever happens. */
    tickets: async ({ limit: most }: Query<"list">) => ({
      tickets: await file.list({ limit: most }),
      monitors: (await file.monitors()).map(({ monitor, instance, alive, lastBeatAt }) => ({
        monitor,
        instance,
        alive,
        lastBeatAt,
      })),
    }),
    sessions: async ({ limit: most, ticket }: Query<"sessions">) => ({
      sessions: await file.listSessions({ limit: most, ...(ticket === undefined ? {} : { ticketId: ticket }) }),
    }),
    /** Waits up to `timeout` seconds for the next step, or until the signal aborts. */
    entries: async (id: string, query: Query<"entries">, until: AbortSignal) => {
      const deadline = clock.monotonic() + query.timeout * 1_000;
      let entries = await file.logEntries(id, query.after);
      while (entries.length === 0 && clock.monotonic() < deadline && !until.aborted) {
        await clock.sleep(ENTRIES_EVERY_MS, until).catch(() => {});
        entries = await file.logEntries(id, query.after);
      }
      return { entries: entries.slice(0, query.limit).map((entry) => shortened(entry, query.chars)) };
    },
    approvals: async ({ limit: most, status }: Query<"approvals">) => ({
      approvals: await file.approvals.list({ limit: most, ...(status === undefined ? {} : { status }) }),
    }),
    decide: async (id: string, { decision, by, reason, call_digest: callDigest }: z.output<typeof decideRequest>) => ({
      approval: await file.approvals.decide(id, {
        verdict: decision,
        by,
        ...(reason === undefined ? {} : { reason }),
        ...(callDigest === undefined ? {} : { callDigest }),
      }),
    }),
    watchdog: async ({ after: afterId, limit: most }: Query<"watchdog">) => {
      const [targets, events] = await Promise.all([
        file.watchdog.targets(deploymentHash),
        file.watchdog.events({ deployment: deploymentHash, afterId, limit: most }),
      ]);
      return { targets, events };
    },
  };
}

function shortened(entry: StoredLogEntry, chars: number | undefined): StoredLogEntry {
  if (chars === undefined) return entry;
  const { summary, raw, params } = entry;
  // Whoever shows this much of a call's parameters cuts them there, too.
  const long = params !== null && JSON.stringify(params).length > chars;
  return {
    ...entry,
    summary: cut(summary, chars),
    raw: cut(raw, chars),
    ...(long ? { params: { ...reasonOf(params), left_out: "too long to be shown here" } } : {}),
  };
}

function reasonOf(params: unknown): { readonly reason?: string } {
  const reason = (params as { readonly reason?: unknown }).reason;
  return typeof reason === "string" ? { reason: cut(reason, 1_000) } : {};
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars).toWellFormed()}…`;
}
