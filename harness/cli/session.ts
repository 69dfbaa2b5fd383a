import { Command } from "commander";
import type { CliIo } from "./io.ts";
import { withTickets } from "./open-ticket-file.ts";
import { ticketNumber } from "./ticket-number.ts";
import { sessionDetails, sessionLine } from "./ticket-text.ts";

interface Common {
  readonly db?: string;
  readonly json?: true;
}

/** `lab session …`: what operators did, call by call. */
export function sessionCommand(io: CliIo): Command {
  const command = new Command("session").description("what operators did, call by call");
  command
    .command("list")
    .description("sessions, newest first")
    .option("--ticket <id>", "only those that worked on this ticket", ticketNumber)
    .option("--db <file>", "another ticket file than ~/.operator/tickets.db")
    .option("--json", "machine-readable")
    .action((flags: Common & { ticket?: number }) =>
      withTickets(io, flags.db, async (tickets) => {
        const rows = await tickets.listSessions(flags.ticket === undefined ? {} : { ticketId: flags.ticket });
        if (flags.json) return io.out(`${JSON.stringify(rows)}\n`);
        io.out(rows.length === 0 ? "no sessions\n" : rows.map(sessionLine).join(""));
      }),
    );
  command
    .command("show <id>")
    .description("one session with everything that was said and called")
    .option("--db <file>", "another ticket file than ~/.operator/tickets.db")
    .option("--json", "machine-readable, with the full text of every call")
    .action((id: string, flags: Common) =>
      withTickets(io, flags.db, async (tickets) => {
        const session = await tickets.session(id);
        const entries = await tickets.logEntries(id);
        io.out(flags.json ? `${JSON.stringify({ ...session, entries })}\n` : sessionDetails(session, entries));
      }),
    );
  return command;
}
