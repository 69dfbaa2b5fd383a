import { Command, CommanderError } from "commander";
import { errorText, HarnessError } from "../base/errors.ts";
import type { CommandEntry } from "./commands.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";

/**
 * Runs one command line. The only place that turns errors into a sentence and an exit code; commands let theirs rise.
 * @param args what follows the program's name.
 */
export async function runProgram(
  args: readonly string[],
  {
    io,
    version,
    commands,
  }: { readonly io: CliIo; readonly version: string; readonly commands: readonly CommandEntry[] },
): Promise<void> {
  try {
    const program = await build(args, { io, version, commands });
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    const { text, code } = explain(error);
    if (text !== "") io.err(text);
    io.setExitCode(code);
  }
}

/** Loads only the command that is asked for; the others stand as names and summaries. */
async function build(
  args: readonly string[],
  {
    io,
    version,
    commands,
  }: { readonly io: CliIo; readonly version: string; readonly commands: readonly CommandEntry[] },
): Promise<Command> {
  const program = new Command("lab")
    .description("Breaks a real distributed system, lets an operator repair it, judges the outcome from outside.")
    .version(version, "--version")
    .showHelpAfterError("(lab --help lists the commands)");
  const asked = args.find((arg) => arg !== "help" && !arg.startsWith("-"));
  for (const entry of commands) {
    const command = entry.name === asked ? await entry.load(io) : new Command(entry.name).summary(entry.summary);
    program.addCommand(command);
  }
  for (const command of tree(program))
    command.exitOverride().configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      // One clear sentence each; the error itself comes back to runProgram.
      outputError: (text, write) => write(text),
    });
  return program;
}

function tree(command: Command): Command[] {
  return [command, ...command.commands.flatMap((sub) => tree(sub))];
}

/** Commander has already printed its own complaints, with suggestions. */
function explain(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof CommanderError) {
    const fine = error.exitCode === 0;
    return { text: "", code: fine ? EXIT.ok : EXIT.usage };
  }
  if (error instanceof HarnessError) {
    const text = error.code === "interrupted" ? `${error.message}\n` : `error: ${error.message}\n`;
    return { text, code: exitCodeOf(error.code) };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : errorText(error);
  return {
    text: `error: ${errorText(error)}\nThis is a defect of the lab itself; please report it with what follows.\n${stack}\n`,
    code: EXIT.internal,
  };
}
