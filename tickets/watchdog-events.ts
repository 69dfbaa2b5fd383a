import { z } from "zod";
import type { EpochMs } from "../harness/base/clock.ts";
import type { TicketFile } from "./ticket-file.ts";

/** What the watchdog thinks of one container of the control plane. */
export const WATCHDOG_STATES = ["healthy", "unhealthy", "glibc-mismatch", "not-found"] as const;
export type WatchdogState = (typeof WATCHDOG_STATES)[number];

/** What the watchdog decided, each with its reason. */
export const WATCHDOG_KINDS = [
  /** First look at a container, or another state or reason than before. */
  "state",
  /** An act begins: restart, unpause, recreate, another image. */
  "attempt",
  "attempt-failed",
  /** Healthy for the stable period after trouble: the count of attempts begins anew. */
  "stable",
  "gave-up",
  /** An operator stopped it on purpose; it is left alone until somebody starts it. */
  "left-alone",
  /** The engine does not answer, or answers again. */
  "engine",
  "legacy-fallback",
  "legacy-refused",
  "legacy-return",
  /** The watchdog itself began or ended. */
  "watchdog",
  /** A person gave the attempts back. */
  "reset",
] as const;
export type WatchdogKind = (typeof WATCHDOG_KINDS)[number];

export interface NewWatchdogEvent {
  readonly at: EpochMs;
  readonly kind: WatchdogKind;
  readonly state: WatchdogState;
  /** One sentence: what was seen, what is done now. */
  readonly reason: string;
  /** Attempts used in this episode. */
  readonly attempt: number;
}

export interface WatchdogEvent extends NewWatchdogEvent {
  readonly id: number;
  readonly deployment: string;
  readonly component: string;
}

/** The latest of one container. */
export interface WatchdogTarget {
  readonly deployment: string;
  readonly component: string;
  readonly state: WatchdogState;
  readonly reason: string;
  /** Attempts used in this episode, and of how many. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly gaveUp: boolean;
  /** True while the agent runs from the legacy file because this one could not be kept up. */
  readonly legacy: boolean;
  /** Null = none is due. */
  readonly nextAttemptAt: EpochMs | null;
  readonly lookedAt: EpochMs;
  /** The watchdog counts as alive for three times as long after `lookedAt`; 0 = it has ended. */
  readonly everyMs: number;
}

/** Whether people want a container: `lab agent down` says `stopped`, `lab agent up` says `running`. */
export interface WatchdogIntent {
  readonly deployment: string;
  /** Null = all of the deployment. */
  readonly component: string | null;
  readonly wanted: "running" | "stopped";
  /** Who said so, for the events: `lab agent down`. */
  readonly by: string;
  readonly at: EpochMs;
}

export interface WatchdogEventFilter {
  readonly deployment?: string;
  readonly component?: string;
  readonly kinds?: readonly WatchdogKind[];
  readonly afterId?: number;
  /** The newest so many. Default 200. */
  readonly limit?: number;
}

/** Totals since the file was made, for metrics. */
export interface WatchdogTotals {
  readonly deployment: string;
  readonly component: string;
  readonly kind: WatchdogKind;
  readonly count: number;
}

/** The side table of the ticket file in which the watchdog keeps what it knows. Its rows are no tickets. */
export interface WatchdogLog {
  /**
   * State, memory and events of one container in one transaction. `memory` is the watchdog's own (JSON); with it a
   * watchdog that starts again goes on where the last one was.
   */
  record(target: WatchdogTarget, memory: unknown, events: readonly NewWatchdogEvent[]): Promise<void>;
  /** What the last watchdog remembered; null = nobody watched it yet. */
  memory(deployment: string, component: string): Promise<unknown>;
  targets(deployment?: string): Promise<readonly WatchdogTarget[]>;
  /** Oldest first. */
  events(filter?: WatchdogEventFilter): Promise<readonly WatchdogEvent[]>;
  totals(): Promise<readonly WatchdogTotals[]>;
  /** Notes what people want; replaces what they wanted before. */
  intend(intent: WatchdogIntent): Promise<void>;
  /** The newest that concerns this container; null = nobody said anything. */
  intent(deployment: string, component: string): Promise<WatchdogIntent | null>;
}

/** Rows of `watchdog_events` that are kept; the totals stay true beyond that. */
const KEPT_EVENTS = 5_000;

export const WATCHDOG_TABLES = `
CREATE TABLE IF NOT EXISTS watchdog_targets (
  deployment TEXT NOT NULL,
  component TEXT NOT NULL,
  target TEXT NOT NULL,
  memory TEXT NOT NULL,
  PRIMARY KEY (deployment, component)
);
CREATE TABLE IF NOT EXISTS watchdog_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  deployment TEXT NOT NULL,
  component TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  attempt INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS watchdog_totals (
  deployment TEXT NOT NULL,
  component TEXT NOT NULL,
  kind TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (deployment, component, kind)
);
CREATE TABLE IF NOT EXISTS watchdog_intents (
  deployment TEXT NOT NULL,
  component TEXT NOT NULL DEFAULT '',
  wanted TEXT NOT NULL,
  said_by TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (deployment, component)
);
CREATE INDEX IF NOT EXISTS ix_watchdog_events ON watchdog_events (deployment, component, id);
-- Whoever runs a session on it must hear of these at once; of the others whoever looks.
CREATE TRIGGER IF NOT EXISTS watchdog_events_generation AFTER INSERT ON watchdog_events
  WHEN NEW.kind IN ('gave-up', 'legacy-fallback', 'legacy-return') BEGIN
  UPDATE ticket_file SET generation = generation + 1;
END;`;

const instant = z.number().transform((ms) => ms as EpochMs);
const targetRow = z.strictObject({
  deployment: z.string(),
  component: z.string(),
  state: z.enum(WATCHDOG_STATES),
  reason: z.string(),
  attempts: z.number(),
  maxAttempts: z.number(),
  gaveUp: z.boolean(),
  legacy: z.boolean(),
  nextAttemptAt: instant.nullable(),
  lookedAt: instant,
  everyMs: z.number(),
});
const eventRow = z.strictObject({
  id: z.number(),
  deployment: z.string(),
  component: z.string(),
  at: instant,
  kind: z.enum(WATCHDOG_KINDS),
  state: z.enum(WATCHDOG_STATES),
  reason: z.string(),
  attempt: z.number(),
});
const intentRow = z.strictObject({
  deployment: z.string(),
  component: z.string().transform((name) => (name === "" ? null : name)),
  wanted: z.enum(["running", "stopped"]),
  by: z.string(),
  at: instant,
});
const totalRow = z.strictObject({
  deployment: z.string(),
  component: z.string(),
  kind: z.enum(WATCHDOG_KINDS),
  count: z.number(),
});

export class WatchdogTable implements WatchdogLog {
  readonly #file: TicketFile;

  constructor(file: TicketFile) {
    this.#file = file;
  }

  record(target: WatchdogTarget, memory: unknown, events: readonly NewWatchdogEvent[]): Promise<void> {
    const { deployment, component } = target;
    return this.#file.write(() => {
      this.#file
        .sql(
          `INSERT INTO watchdog_targets (deployment, component, target, memory) VALUES (?, ?, ?, ?)
           ON CONFLICT (deployment, component) DO UPDATE SET target = excluded.target, memory = excluded.memory`,
        )
        .run(deployment, component, JSON.stringify(target), JSON.stringify(memory));
      for (const event of events) this.#add(deployment, component, event);
    });
  }

  memory(deployment: string, component: string): Promise<unknown> {
    return this.#file.read(() => {
      const text = this.#file
        .sql("SELECT memory FROM watchdog_targets WHERE deployment = ? AND component = ?")
        .pluck()
        .get(deployment, component) as string | undefined;
      return text === undefined ? null : (JSON.parse(text) as unknown);
    });
  }

  targets(deployment?: string): Promise<readonly WatchdogTarget[]> {
    return this.#file.read(() =>
      this.#file
        .sql("SELECT target FROM watchdog_targets WHERE ? IS NULL OR deployment = ? ORDER BY deployment, component")
        .pluck()
        .all(deployment ?? null, deployment ?? null)
        .map((text) => targetRow.parse(JSON.parse(text as string))),
    );
  }

  events(filter: WatchdogEventFilter = {}): Promise<readonly WatchdogEvent[]> {
    const { deployment = null, component = null, kinds = null, afterId = 0, limit = 200 } = filter;
    return this.#file.read(() =>
      this.#file
        .sql(
          `SELECT id, deployment, component, at_ms AS at, kind, state, reason, attempt FROM watchdog_events
           WHERE id > @afterId AND (@deployment IS NULL OR deployment = @deployment)
             AND (@component IS NULL OR component = @component)
             AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds)))
           ORDER BY id DESC LIMIT @limit`,
        )
        .all({ deployment, component, kinds: kinds === null ? null : JSON.stringify(kinds), afterId, limit })
        .map((row) => eventRow.parse(row))
        .reverse(),
    );
  }

  totals(): Promise<readonly WatchdogTotals[]> {
    return this.#file.read(() =>
      this.#file
        .sql("SELECT deployment, component, kind, count FROM watchdog_totals ORDER BY deployment, component, kind")
        .all()
        .map((row) => totalRow.parse(row)),
    );
  }

  intend({ deployment, component, wanted, by, at }: WatchdogIntent): Promise<void> {
    return this.#file.write(() => {
      // What is said of all replaces what was said of each.
      if (component === null) this.#file.sql("DELETE FROM watchdog_intents WHERE deployment = ?").run(deployment);
      this.#file
        .sql(
          `INSERT INTO watchdog_intents (deployment, component, wanted, said_by, at_ms) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (deployment, component) DO UPDATE
             SET wanted = excluded.wanted, said_by = excluded.said_by, at_ms = excluded.at_ms`,
        )
        .run(deployment, component ?? "", wanted, by, at);
    });
  }

  intent(deployment: string, component: string): Promise<WatchdogIntent | null> {
    return this.#file.read(() => {
      const row = this.#file
        .sql(
          `SELECT deployment, component, wanted, said_by AS by, at_ms AS at FROM watchdog_intents
           WHERE deployment = ? AND component IN ('', ?) ORDER BY component DESC LIMIT 1`,
        )
        .get(deployment, component);
      return row === undefined ? null : intentRow.parse(row);
    });
  }

  #add(deployment: string, component: string, event: NewWatchdogEvent): void {
    const { lastInsertRowid } = this.#file
      .sql(
        `INSERT INTO watchdog_events (deployment, component, at_ms, kind, state, reason, attempt)
         VALUES (@deployment, @component, @at, @kind, @state, @reason, @attempt)`,
      )
      .run({ ...event, deployment, component });
    this.#file.sql("DELETE FROM watchdog_events WHERE id <= ?").run(Number(lastInsertRowid) - KEPT_EVENTS);
    this.#file
      .sql(
        `INSERT INTO watchdog_totals (deployment, component, kind, count) VALUES (?, ?, ?, 1)
         ON CONFLICT (deployment, component, kind) DO UPDATE SET count = count + 1`,
      )
      .run(deployment, component, event.kind);
  }
}
