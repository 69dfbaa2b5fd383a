import type { Deps } from "../protocol.ts";

/** What every command gets. Commands parse flags, call one thing and print; they decide nothing else. */
export interface CliIo {
  readonly deps: Deps;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborts on Ctrl-C or SIGTERM, with a HarnessError `interrupted` as reason. */
  readonly signal: AbortSignal;
  readonly stdinIsTty: boolean;
  readonly stdoutIsTty: boolean;
  /** Results. */
  out(text: string): void;
  /** Progress and warnings. */
  err(text: string): void;
  /** Asks the person at the terminal and returns one line; null where nobody is there to answer. */
  ask(question: string): Promise<string | null>;
  /** Exit code for an outcome that is not an error, e.g. a verdict that is not a pass. */
  setExitCode(code: number): void;
}
