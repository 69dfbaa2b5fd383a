import { Command } from "commander";
import { plain } from "../base/plain-text.ts";
import { decideApproval } from "./decide-approval.ts";
import type { CliIo } from "./io.ts";

interface Flags {
  readonly reason?: string;
  readonly db?: string;
  readonly json?: true;
}

/** `lab reject <id> [--reason]`: the operator reads the reason and goes on. */
export function rejectCommand(io: CliIo): Command {
  return new Command("reject")
    .description("refuse what an operator proposes (safety mode propose)")
    .argument("<id>", "as `lab approve list` shows it")
    .option("--reason <text>", "why not: the operator reads it")
    .option("--db <file>", "ticket file; default: ~/.operator/tickets.db and those of the trials that run here")
    .option("--json", "machine-readable")
    .action(async (id: string, { reason, db, json }: Flags) => {
      const done = await decideApproval(id, { verdict: "reject", ...(reason === undefined ? {} : { reason }) }, db, io);
      io.out(json ? `${JSON.stringify(done)}\n` : plain(`rejected: ${done.tool} ${JSON.stringify(done.input)}\n`));
    });
}
