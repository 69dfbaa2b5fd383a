/** `lab`: builds what every command gets, runs the command line, leaves with its exit code. */
import { createInterface } from "node:readline/promises";
import { z } from "zod";
import { systemClock } from "../base/clock.ts";
import { jsonLog } from "../base/log.ts";
import { packageVersion } from "../base/package-version.ts";
import { programDeps } from "../base/program-deps.ts";
import { COMMANDS } from "./commands.ts";
import { EXIT } from "./exit-codes.ts";
import { onInterrupt } from "./interrupts.ts";
import type { CliIo } from "./io.ts";
import { runProgram } from "./program.ts";

const level = z
  .enum(["debug", "info", "warn", "error", "silent"])
  .catch("warn")
  .parse(process.env["AGENT_LAB_LOG"] ?? "warn");

using interrupts = onInterrupt(process, systemClock, () => {
  process.stderr.write("stopped at once; `lab heal` undoes what is left\n");
  process.exit(EXIT.interrupted);
});

// `lab demo | head -1` closes the pipe early: the reader's right, and a reason to heal, stop and go, not to crash.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    interrupts.stop("nobody reads the output any more");
  });

const io: CliIo = {
  deps: programDeps(jsonLog({ level })),
  env: process.env,
  cwd: process.cwd(),
  signal: interrupts.signal,
  stdinIsTty: process.stdin.isTTY === true,
  stdoutIsTty: process.stdout.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  ask: askAtTerminal,
  setExitCode: (code) => {
    process.exitCode = code;
  },
};

await runProgram(process.argv.slice(2), { io, version: packageVersion(), commands: COMMANDS });

async function askAtTerminal(question: string): Promise<string | null> {
  if (process.stdin.isTTY !== true) return null;
  using lines = createInterface({ input: process.stdin, output: process.stderr });
  return await lines.question(question, { signal: interrupts.signal });
}
