import type { Command } from "commander";
import type { CliIo } from "./io.ts";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Imports the command's file only when it is asked for: `--help` stays fast, and tickets need no Docker client. */
  load(io: CliIo): Promise<Command>;
}

/** Every command of `lab`, in the order of `--help`. One line each. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "ticket",
    summary: "tickets: create, list, show, resolve, hold, unhold, reopen",
    load: async (io) => (await import("./ticket.ts")).ticketCommand(io),
  },
  {
    name: "session",
    summary: "operators' sessions: list, show",
    load: async (io) => (await import("./session.ts")).sessionCommand(io),
  },
];
