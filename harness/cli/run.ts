import { Command } from "commander";
import { scenarios } from "../../scenarios/index.ts";
import { HarnessError } from "../base/errors.ts";
import { findScenario } from "../trial/scenario-file.ts";
import { chooseEngine } from "./choose-engine.ts";
import type { CliIo } from "./io.ts";
import { addTrialFlags, checkTrialFlags, type TrialFlags } from "./trial-options.ts";
import { conductTrial } from "./conduct-trial.ts";

interface RunFlags extends TrialFlags {
  readonly attach?: string;
  readonly yes?: true;
  readonly db?: string;
}

/** `lab run <scenario|file>`. */
export function runCommand(io: CliIo): Command {
  return addTrialFlags(
    new Command("run")
      .description("one trial: break it, let an operator work the ticket, judge the outcome")
      .argument("<scenario>", "id (`lab scenario list`), or a YAML file"),
    { engine: "auto" },
  )
    .option("--attach <project>", "somebody's running cluster: its compose project; reversible faults only")
    .option("--yes", "with --attach: do not ask for the project's name")
    .option("--db <file>", "ticket file; default: one of the trial's own")
    .action(async (name: string, flags: RunFlags) => {
      const { mode } = checkTrialFlags(flags, io);
      const scenario = await findScenario(name, scenarios);
      const engine = flags.attach === undefined ? await chooseEngine(flags.engine, scenario, io) : "docker";
      if (flags.attach !== undefined && flags.yes !== true) await confirmAttach(flags.attach, io);
      await conductTrial({ scenario, engine, flags, mode, attach: flags.attach, db: flags.db }, io);
    });
}

/** What follows breaks somebody's running cluster for a while. @throws HarnessError `usage` unless its name is given. */
async function confirmAttach(project: string, io: CliIo): Promise<void> {
  const answer = await io.ask(
    `This breaks the running cluster "${project}" and heals it afterwards. Type its project name to go on: `,
  );
  if (answer === null) throw new HarnessError("usage", `nobody is here to confirm --attach ${project}; add --yes`);
  if (answer.trim() !== project)
    throw new HarnessError("usage", `not confirmed: "${answer.trim()}" is not "${project}"; nothing was touched`);
}
