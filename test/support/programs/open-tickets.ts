/**
 * Opens a ticket file as a user without rights, writes to it, and prints what went wrong: `code message`. Started as
 * root and lowered only when everything is loaded, because that user may not read the checkout.
 */
import Database from "better-sqlite3";
import { systemClock } from "../../../harness/base/clock.ts";
import { HarnessError } from "../../../harness/base/errors.ts";
import { randomIds } from "../../../harness/base/ids.ts";
import { silentLog } from "../../../harness/base/log.ts";
import { openTickets } from "../../../tickets/index.ts";

new Database(":memory:").close();
process.setgid?.(65534);
process.setuid?.(65534);
try {
  await using tickets = await openTickets(process.argv[2] ?? "", {
    clock: systemClock,
    ids: randomIds,
    log: silentLog,
  });
  await tickets.endBeat("nobody");
  process.stdout.write("ok\n");
} catch (error) {
  process.stdout.write(error instanceof HarnessError ? `${error.code} ${error.message}\n` : `${String(error)}\n`);
}
