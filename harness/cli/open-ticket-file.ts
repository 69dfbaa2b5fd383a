import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { openTickets, type Tickets } from "../../tickets/index.ts";
import type { CliIo } from "./io.ts";

/** The user's own file, unless `--db` names another. */
export function ticketPath(io: Pick<CliIo, "env" | "cwd">, db: string | undefined): string {
  return db === undefined ? join(io.env["HOME"] || userInfo().homedir, ".operator", "tickets.db") : resolve(io.cwd, db);
}

/** Runs `use` on the ticket file and closes it. @throws HarnessError as `openTickets` does. */
export async function withTickets<T>(
  io: CliIo,
  db: string | undefined,
  use: (tickets: Tickets) => Promise<T>,
): Promise<T> {
  await using tickets = await openTickets(ticketPath(io, db), io.deps);
  return await use(tickets);
}
