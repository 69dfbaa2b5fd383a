import type { Deps } from "../protocol.ts";
import {
  approvalsSchema,
  capabilitiesSchema,
  entriesSchema,
  healthSchema,
  sessionsSchema,
  ticketsSchema,
  watchdogSchema,
  type EntryRow,
  type SessionRow,
} from "./control-port.ts";
import { failuresOf } from "./failures.ts";
import type { KnownPart, Parts } from "./parts.ts";
import { openRates } from "./rates.ts";
import { Reader } from "./reader.ts";
import type { Cluster, Done, Sight } from "./sight.ts";
import type { Source } from "./source.ts";

/** The page shows the latest steps; older ones are in `lab session show`. */
const MAX_ENTRIES = 1_000;
/** Of a session so many steps are read at once, and of each text a little more than the page shows. */
const [AT_ONCE, SHOWN_CHARS] = [100, 5_000];
/** The server answers at once when there is a step, and after so long when there is none. */
const LONG_POLL_SECONDS = 2;

/** Everything that the page shows, kept up to date. One for all browsers: they cost the control API nothing more. */
export interface Gatherer {
  sight(): Sight;
  /** `listener` is called after each reading. While there is a listener, things are read more often. */
  watch(listener: () => void): Disposable;
  /** Something has changed that is not read: a part was heard of, a command ran. */
  touched(): void;
  /** Read everything now: somebody did something. */
  nudge(): void;
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function openGatherer(
  { source: control, parts, done }: { readonly source: Source; readonly parts: Parts; done(): readonly Done[] },
  { clock }: Pick<Deps, "clock">,
): Gatherer {
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const reader = <T>(what: string, watched: number, alone: number, read: (signal: AbortSignal) => Promise<T>) =>
    new Reader({ what, everyMs: { watched, alone }, read, changed }, clock);
  const rates = openRates();

  let toldBy: string | null = null;
  const health = reader("the control server's health", 2_000, 10_000, async (signal) => {
    const read = healthSchema.parse(await control.health(signal));
    // Somebody else answers now: nobody should read the other's version and counts for long.
    if (toldBy !== control.agentId) others().forEach((one) => one.nudge());
    toldBy = control.agentId;
    const { status_panel_count, compose_agent_count } = read.command_metrics;
    rates.add(clock.monotonic(), { status_panel: status_panel_count, compose_agent: compose_agent_count });
    return read;
  });
  const capabilities = reader("its capabilities", 10_000, 10_000, async (signal) =>
    capabilitiesSchema.parse(await control.capabilities(signal)),
  );
  const failures = reader("its metrics", 5_000, 15_000, async (signal) => failuresOf(await control.metrics(signal)));
  let watched: boolean | null = null;
  const tickets = reader("tickets", 2_000, 15_000, async (signal) => {
    const read = ticketsSchema.parse(await control.get("/api/v1/tickets?limit=300", signal));
    watched = read.monitors?.some(({ alive }) => alive) ?? null;
    return read.tickets;
  });
  const approvals = reader("approvals", 1_500, 15_000, async (signal) => {
    return approvalsSchema.parse(await control.get("/api/v1/approvals?limit=50", signal)).approvals;
  });
  const watchdog = reader("the watchdog's state", 3_000, 15_000, async (signal) =>
    watchdogSchema.parse(await control.get("/api/v1/watchdog", signal)),
  );
  const sessions = reader("sessions", 2_000, 15_000, async (signal) => {
    const rows = sessionsSchema.parse(await control.get("/api/v1/sessions?limit=20", signal)).sessions;
    if (follow(shownSession(rows))) entries.nudge();
    return rows;
  });

  let session: SessionRow | null = null;
  let steps: readonly EntryRow[] = [];
  /** Reads on once more after the end: the last entries may come with it. */
  let readToEnd = false;
  const follow = (next: SessionRow | null): boolean => {
    const other = next?.sessionId !== session?.sessionId;
    if (other) steps = [];
    if (other || next?.status !== session?.status) readToEnd = false;
    session = next;
    return other;
  };
  const entries = reader("the session's steps", 200, 15_000, async (signal) => {
    const followed = session;
    if (followed === null || readToEnd) return steps.length;
    const after = steps.at(-1)?.id ?? 0;
    const waitSeconds = followed.status === "running" ? LONG_POLL_SECONDS : 0;
    const target = `/api/v1/sessions/${encodeURIComponent(followed.sessionId)}/entries?after=${after}&timeout=${waitSeconds}&limit=${AT_ONCE}&chars=${SHOWN_CHARS}`;
    const { entries: rows } = entriesSchema.parse(await control.get(target, signal));
    // Meanwhile another session may have begun.
    if (session?.sessionId !== followed.sessionId) return steps.length;
    steps = [...steps, ...rows.filter(({ id }) => id > after)].slice(-MAX_ENTRIES);
    if (rows.length === 0 && session.status !== "running") readToEnd = true;
    return steps.length;
  });

  const others = () => [capabilities, failures, tickets, approvals, watchdog, sessions, entries];
  const readers = [health, ...others()];
  const watchedNow = () => readers.forEach((one) => one.watched(listeners.size > 0));
  return {
    sight: () => {
      const known = parts.list();
      return {
        now: clock.now(),
        legacy: control.agentId === null ? null : { agentId: control.agentId, why: control.why },
        health: health.seen,
        capabilities: capabilities.seen,
        failures: failures.seen,
        perMinute: {
          status_panel: rates.perMinute("status_panel"),
          compose_agent: rates.perMinute("compose_agent"),
        },
        tickets: tickets.seen,
        monitored: watched,
        approvals: approvals.seen,
        watchdog: watchdog.seen,
        sessions: sessions.seen,
        session,
        entries: steps,
        parts: known,
        cluster: clusterOf(known),
        done: done(),
      };
    },
    watch: (listener) => {
      listeners.add(listener);
      watchedNow();
      return {
        [Symbol.dispose]: () => {
          listeners.delete(listener);
          watchedNow();
        },
      };
    },
    touched: changed,
    nudge: () => readers.forEach((one) => one.nudge()),
    run: async (signal) => {
      await Promise.all(readers.map((one) => one.run(signal)));
    },
  };
}

/** The newest that runs; else the newest. */
function shownSession(rows: readonly SessionRow[]): SessionRow | null {
  return rows.find(({ status }) => status === "running") ?? rows[0] ?? null;
}

/** From whoever holds the engine and was heard of last. */
function clusterOf(parts: readonly KnownPart[]): Cluster | null {
  const [teller] = parts
    .filter(({ status }) => status.cluster !== undefined)
    .toSorted((a, b) => a.silentMs - b.silentMs);
  if (teller?.status.cluster === undefined) return null;
  return { components: teller.status.cluster, toldBy: teller.part, at: teller.heardAt, stale: teller.gone };
}
