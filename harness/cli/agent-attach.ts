import { existsSync } from "node:fs";
import { terminalOf } from "../agent/operators/human/attach-contract.ts";
import { HarnessError } from "../base/errors.ts";
import type { CliIo } from "./io.ts";
import { liveTicketFiles } from "./ticket-files.ts";

const AGAIN_MS = 500;

/**
 * `lab agent attach`: this terminal becomes that of the operator `human` in its container, beside the user's ticket file
 * or that of a trial that runs; where there is none yet, it is waited for. Ctrl-C leaves and ends nothing.
 *
 * @throws HarnessError `config-invalid` without a terminal; the signal's reason when nobody came.
 */
export async function attach({ db }: { readonly db?: string }, io: CliIo): Promise<void> {
  if (!(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "attaching needs a terminal: input or output is not one");
  for (let told = false; ; told = true) {
    const why = await attachOnce(db, io);
    if (why !== null) return io.err(`${why}\n`);
    if (!told)
      io.err("no agent waits for a person yet: `lab agent up --operator human` starts one; waiting, Ctrl-C leaves\n");
    await io.deps.clock.sleep(AGAIN_MS, io.signal);
  }
}

/** @returns why it ended; null = no agent waits for a person. */
async function attachOnce(db: string | undefined, io: CliIo): Promise<string | null> {
  const [{ attachTo }, { openTerminal }] = await Promise.all([
    import("../agent/operators/human/attach.ts"),
    import("../agent/operators/human/terminal.ts"),
  ]);
  const sockets = (await liveTicketFiles(io, db)).map(terminalOf).filter((path) => existsSync(path));
  for (const socket of sockets) {
    try {
      return await attachTo(socket, openTerminal, io.signal);
    } catch (error) {
      // What an agent that was killed has left behind.
      if (!(error instanceof HarnessError && error.code === "not-found")) throw error;
    }
  }
  return null;
}
