import { Command } from "commander";
import { readSettings, type ShownSetting } from "../control/settings.ts";
import type { CliIo } from "./io.ts";

interface Flags {
  readonly composeMode?: boolean;
  readonly config?: string;
  readonly json?: true;
}

/** `lab config show`: the control plane's settings and who said them. */
export function configCommand(io: CliIo): Command {
  const command = new Command("config").description("the control plane's settings");
  command
    .command("show")
    .description("every value and where it comes from: flag, environment, config file or default; secrets are masked")
    .option("--compose-mode", "as the programs would with this flag")
    .option("--no-compose-mode", "the same the other way round")
    .option("--config <file>", "another config file")
    .option("--json", "machine-readable")
    .action((flags: Flags) => {
      const { shown, file } = readSettings({ env: io.env, flags });
      if (flags.json) return io.out(`${JSON.stringify({ file, settings: shown })}\n`);
      io.out(shown.map(line).join(""));
      io.err(file === null ? "no config file\n" : `config file: ${file}\n`);
    });
  return command;
}

function line({ variable, value, source, where, about }: ShownSetting): string {
  const by = source === "flag" || source === "file" ? `${source} (${where})` : source;
  return `${variable.padEnd(26)} ${value.padEnd(24)} ${by.padEnd(12)} ${about}\n`;
}
