import { z } from "zod";
import type { EpochMs } from "../harness/base/clock.ts";
import type { TicketFile } from "./ticket-file.ts";

/** `running`: its intent is on disk, and nothing of what came of it. `unknown`: nobody can say whether it took. */
const PEOPLE_COMMAND_STATES = ["running", "success", "failed", "unknown"] as const;
export type PeopleCommandState = (typeof PEOPLE_COMMAND_STATES)[number];

/** A command that an agent in legacy mode is about to carry out for a person. */
export interface NewPeopleCommand {
  /** Whoever commanded chose it: under one id a thing is done once. */
  readonly id: string;
  /** The agent. */
  readonly agent: string;
  /** Who wanted it, e.g. `anna in the panel`. */
  readonly by: string;
  readonly name: string;
  readonly target: string | null;
  readonly params: unknown;
  readonly at: EpochMs;
}

export interface PeopleCommand extends NewPeopleCommand {
  readonly state: PeopleCommandState;
  /** What the panel was told; null while it runs. */
  readonly report: unknown;
  readonly endedAt: EpochMs | null;
}

/**
 * The trace of what an agent in legacy mode did for people, in a side table of the ticket file: where there is no
 * compose-agent there is no audit. Each method is durable when it resolves.
 */
export interface PeopleCommands {
  /** Puts the intent on disk. @returns null, or the row of this id that is there already, and nothing is written. */
  begin(command: NewPeopleCommand): Promise<PeopleCommand | null>;
  /** Of one that runs; any other is left as it is. */
  end(id: string, state: Exclude<PeopleCommandState, "running">, report: unknown, at: EpochMs): Promise<void>;
  find(id: string): Promise<PeopleCommand | null>;
  /** Begun by this agent and not ended, oldest first. */
  running(agent: string): Promise<readonly PeopleCommand[]>;
  /** Newest first. */
  list(limit: number): Promise<readonly PeopleCommand[]>;
  /** How many ended how, of all that are kept. */
  totals(): Promise<Readonly<Record<PeopleCommandState, number>>>;
}

const KEPT_ROWS = 5_000;

export const PEOPLE_COMMANDS_TABLE = `
CREATE TABLE IF NOT EXISTS people_commands (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL,
  said_by TEXT NOT NULL,
  name TEXT NOT NULL,
  target TEXT,
  params TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  report TEXT,
  ended_ms INTEGER
);
CREATE INDEX IF NOT EXISTS ix_people_commands_running ON people_commands (agent, seq) WHERE state = 'running';`;

const instant = z.number().transform((ms) => ms as EpochMs);
const json = z.string().transform((text) => JSON.parse(text) as unknown);
const commandRow = z.strictObject({
  id: z.string(),
  agent: z.string(),
  by: z.string(),
  name: z.string(),
  target: z.string().nullable(),
  params: json,
  at: instant,
  state: z.enum(PEOPLE_COMMAND_STATES),
  report: json.nullable(),
  endedAt: instant.nullable(),
});
const COLUMNS =
  "id, agent, said_by AS by, name, target, params, at_ms AS at, state, report, ended_ms AS endedAt FROM people_commands";

export class PeopleCommandTable implements PeopleCommands {
  readonly #file: TicketFile;

  constructor(file: TicketFile) {
    this.#file = file;
  }

  begin(command: NewPeopleCommand): Promise<PeopleCommand | null> {
    return this.#file.write(() => {
      const known = this.#find(command.id);
      if (known !== null) return known;
      const { lastInsertRowid } = this.#file
        .sql(
          `INSERT INTO people_commands (id, agent, said_by, name, target, params, at_ms, state)
           VALUES (@id, @agent, @by, @name, @target, @params, @at, 'running')`,
        )
        .run({ ...command, params: JSON.stringify(command.params) });
      this.#file
        .sql("DELETE FROM people_commands WHERE seq <= ? AND state <> 'running'")
        .run(Number(lastInsertRowid) - KEPT_ROWS);
      return null;
    });
  }

  end(id: string, state: Exclude<PeopleCommandState, "running">, report: unknown, at: EpochMs): Promise<void> {
    return this.#file.write(() => {
      this.#file
        .sql("UPDATE people_commands SET state = ?, report = ?, ended_ms = ? WHERE id = ? AND state = 'running'")
        .run(state, JSON.stringify(report), at, id);
    });
  }

  find(id: string): Promise<PeopleCommand | null> {
    return this.#file.read(() => this.#find(id));
  }

  running(agent: string): Promise<readonly PeopleCommand[]> {
    return this.#file.read(() =>
      this.#file
        .sql(`SELECT ${COLUMNS} WHERE agent = ? AND state = 'running' ORDER BY seq`)
        .all(agent)
        .map((row) => commandRow.parse(row)),
    );
  }

  list(limit: number): Promise<readonly PeopleCommand[]> {
    return this.#file.read(() =>
      this.#file
        .sql(`SELECT ${COLUMNS} ORDER BY seq DESC LIMIT ?`)
        .all(limit)
        .map((row) => commandRow.parse(row)),
    );
  }

  totals(): Promise<Readonly<Record<PeopleCommandState, number>>> {
    return this.#file.read(() => {
      const rows = this.#file.sql("SELECT state, COUNT(*) AS count FROM people_commands GROUP BY state").all();
      const counts = z.array(z.strictObject({ state: z.enum(PEOPLE_COMMAND_STATES), count: z.number() })).parse(rows);
      return {
        ...{ running: 0, success: 0, failed: 0, unknown: 0 },
        ...Object.fromEntries(counts.map(({ state, count }) => [state, count])),
      };
    });
  }

  #find(id: string): PeopleCommand | null {
    const row = this.#file.sql(`SELECT ${COLUMNS} WHERE id = ?`).get(id);
    return row === undefined ? null : commandRow.parse(row);
  }
}
