import { existsSync } from "node:fs";
import { join } from "node:path";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { instanceIds, instancePaths, stateRoot } from "../engine/instances.ts";
import { outsideFolderOf } from "../trial/outside-folder.ts";
import type { CliIo } from "./io.ts";
import { ticketPath } from "./open-ticket-file.ts";

/** Every ticket file in which somebody may wait for a person: the one named, or the user's and those of trials that run. */
export async function liveTicketFiles(
  io: Pick<CliIo, "env" | "cwd">,
  db: string | undefined,
): Promise<readonly string[]> {
  const own = ticketPath(io, db);
  if (db !== undefined) return [own];
  const root = stateRoot(io.env);
  const folders = await Promise.all(
    instanceIds(root).map((id) => outsideFolderOf("tickets", instancePaths(root, id).dir)),
  );
  const trials = folders.flatMap((folder) => (folder === null ? [] : [join(folder, "tickets.db")]));
  return [own, ...trials].filter((path) => existsSync(path));
}

/**
 * Asks one file after another until one has an answer.
 *
 * @param ask null = not here, look in the next one.
 * @throws HarnessError `not-found` with `missing` when none has; of a file that cannot be opened only when it was named.
 */
export async function firstInFiles<T>(
  io: CliIo,
  db: string | undefined,
  missing: string,
  ask: (tickets: Tickets) => Promise<T | null>,
): Promise<T> {
  for (const path of await liveTicketFiles(io, db)) {
    const found = await inFile(io, path, db !== undefined, ask);
    if (found !== null) return found;
  }
  throw new HarnessError("not-found", missing);
}

/** One file; null also where it cannot be opened and nobody asked for just this one. */
export async function inFile<T>(
  io: CliIo,
  path: string,
  named: boolean,
  ask: (tickets: Tickets) => Promise<T | null>,
): Promise<T | null> {
  let tickets: Tickets;
  try {
    tickets = await openTickets(path, io.deps);
  } catch (error) {
    if (named) throw error;
    io.err(`not looked at: ${errorText(error)}\n`);
    return null;
  }
  try {
    return await ask(tickets);
  } finally {
    await tickets[Symbol.asyncDispose]();
  }
}
