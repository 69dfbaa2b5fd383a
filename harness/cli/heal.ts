import { Command } from "commander";
import { EXIT } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { sweep } from "./subjects.ts";

/** `lab heal`: undoes what a dead harness left behind. Every start of a trial does the same. */
export function healCommand(io: CliIo): Command {
  return new Command("heal")
    .description("undo what a killed run left behind: faults, processes, containers; live runs are not touched")
    .option("--json", "machine-readable")
    .action(async ({ json }: { json?: true }) => {
      const swept = await sweep(io, "heal");
      if (swept.some(({ outcome }) => outcome === "failed")) io.setExitCode(EXIT.failed);
      if (json) return io.out(`${JSON.stringify(swept)}\n`);
      if (swept.length === 0) return io.out("nothing was left behind\n");
      io.out(swept.map(({ id, outcome, why }) => `${id}  ${outcome.padEnd(8)}  ${why}\n`).join(""));
    });
}
