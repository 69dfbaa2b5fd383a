import { Command } from "commander";
import { isoTime } from "../base/clock.ts";
import { HarnessError } from "../base/errors.ts";
import { plain } from "../base/plain-text.ts";
import type { Approval } from "../../tickets/index.ts";
import { decideApproval } from "./decide-approval.ts";
import type { CliIo } from "./io.ts";
import { inFile, liveTicketFiles } from "./ticket-files.ts";

interface Flags {
  readonly db?: string;
  readonly json?: true;
}

interface ListFlags extends Flags {
  readonly all?: true;
}

const DB = "ticket file; default: ~/.operator/tickets.db and those of the trials that run here";

/** `lab approve <id>` and `lab approve list`. */
export function approveCommand(io: CliIo): Command {
  const command = new Command("approve")
    .description("let an operator do what it proposes (safety mode propose)")
    .argument("[id]", "as `lab approve list` shows it")
    .option("--db <file>", DB)
    .option("--json", "machine-readable")
    .action(async (id: string | undefined, flags: Flags) => {
      if (id === undefined)
        throw new HarnessError("usage", "name what to approve; `lab approve list` shows what waits");
      const done = await decideApproval(id, { verdict: "approve" }, flags.db, io);
      io.out(
        flags.json ? `${JSON.stringify(done)}\n` : plain(`approved: ${done.tool} ${JSON.stringify(done.input)}\n`),
      );
    });
  command
    .command("list")
    .description("what waits for a person")
    .option("--db <file>", DB)
    .option("--all", "also what is decided or over")
    .option("--json", "machine-readable")
    // Flags that the parent knows too land there when they come before the word.
    .action((_: unknown, sub: Command) => list(sub.optsWithGlobals<ListFlags>(), io));
  return command;
}

async function list({ db, all, json }: ListFlags, io: CliIo): Promise<void> {
  const found: (Approval & { readonly file: string })[] = [];
  for (const path of await liveTicketFiles(io, db)) {
    const filter = all ? {} : ({ status: "waiting" } as const);
    const rows = await inFile(io, path, db !== undefined, (tickets) => tickets.approvals.list(filter));
    found.push(...(rows ?? []).map((row) => ({ ...row, file: path })));
  }
  if (json) return io.out(`${JSON.stringify(found)}\n`);
  io.out(found.length === 0 ? "nothing waits for a person\n" : found.map(approvalText).join(""));
}

/** An operator's words must not make a person read another call than the one that waits. */
function approvalText(approval: Approval): string {
  const { id, status, effect, tool, input, state, operator, claim, requestedAt, remainingMs, reason } = approval;
  const left = status === "waiting" ? `, ${Math.ceil(remainingMs / 1_000)} s left` : "";
  const by = approval.decidedBy === null ? "" : ` by ${approval.decidedBy}`;
  const lines = [
    `${id}  ${status}${by}${left}  ${effect}: ${tool} ${JSON.stringify(input)}`,
    `    proposed ${isoTime(requestedAt)} by ${operator} on incident ${claim.batchKey}, attempt ${claim.attempt}`,
    `    in this state: ${JSON.stringify(state)}`,
    ...(reason === null ? [] : [`    ${reason}`]),
  ];
  return lines.map((line) => `${plain(line).replaceAll("\n", " ")}\n`).join("");
}
