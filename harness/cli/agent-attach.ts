import { existsSync } from "node:fs";
import { terminalOf } from "../agent/operators/human/attach-contract.ts";
import { HarnessError } from "../base/errors.ts";
import type { CliIo } from "./io.ts";
import { liveTicketFiles } from "./ticket-files.ts";

/**
 * `lab agent attach`: this terminal becomes that of the operator `human` in its container, beside the user's ticket file
 * or that of a trial that runs. Ctrl-C leaves and ends nothing.
 *
 * @throws HarnessError `config-invalid` without a terminal, `not-found` when no agent waits for a person.
 */
export async function attach({ db }: { readonly db?: string }, io: CliIo): Promise<void> {
  if (!(io.stdinIsTty && io.stdoutIsTty))
    throw new HarnessError("config-invalid", "attaching needs a terminal: input or output is not one");
  const [{ attachTo }, { openTerminal }] = await Promise.all([
    import("../agent/operators/human/attach.ts"),
    import("../agent/operators/human/terminal.ts"),
  ]);
  const sockets = (await liveTicketFiles(io, db)).map(terminalOf).filter((path) => existsSync(path));
  for (const socket of sockets) {
    try {
      return io.err(`${await attachTo(socket, openTerminal, io.signal)}\n`);
    } catch (error) {
      // What an agent that was killed has left behind.
      if (!(error instanceof HarnessError && error.code === "not-found")) throw error;
    }
  }
  throw new HarnessError(
    "not-found",
    "no agent waits for a person: `lab agent up --operator human` starts one in its container; `lab agent start --operator human` needs none",
  );
}
