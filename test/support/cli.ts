import { silentLog } from "../../harness/base/log.ts";
import { randomIds } from "../../harness/base/ids.ts";
import { seededRandom } from "../../harness/base/random.ts";
import type { CommandEntry } from "../../harness/cli/commands.ts";
import { COMMANDS } from "../../harness/cli/commands.ts";
import type { CliIo } from "../../harness/cli/io.ts";
import { runProgram } from "../../harness/cli/program.ts";
import { systemClock, type Clock } from "../../harness/base/clock.ts";

export interface CliOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliOptions {
  readonly commands?: readonly CommandEntry[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  /** What the person at the terminal types; without it nobody is there. */
  readonly answer?: string;
}

/** Runs one command line in this process, as `main.ts` would, and returns what it printed and its exit code. */
export async function lab(args: readonly string[], options: CliOptions = {}): Promise<CliOutcome> {
  const outcome = { code: 0, out: "", err: "" };
  const io: CliIo = {
    deps: {
      clock: options.clock ?? systemClock,
      random: seededRandom(1),
      ids: randomIds,
      log: silentLog,
      fetch: globalThis.fetch,
    },
    env: options.env ?? {},
    cwd: "/",
    signal: options.signal ?? new AbortController().signal,
    stdinIsTty: false,
    stdoutIsTty: false,
    out: (text) => void (outcome.out += text),
    err: (text) => void (outcome.err += text),
    ask: () => Promise.resolve(options.answer ?? null),
    setExitCode: (code) => void (outcome.code = code),
  };
  await runProgram(args, { io, version: "1.2.3", commands: options.commands ?? COMMANDS });
  return outcome;
}
