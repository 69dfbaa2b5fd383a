import type { Clock } from "../harness/base/clock.ts";
import { HarnessError } from "../harness/base/errors.ts";
import type { Ids } from "../harness/base/ids.ts";
import type { Log } from "../harness/base/log.ts";
import type { Tickets } from "./types.ts";

export interface TicketOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Sessions per incident before it is escalated. Default 3. */
  readonly maxAttempts?: number;
  /** How long after "fixed" a violation may still be seen before the claim counts as not verified. Default 30 s. */
  readonly verifyMs?: number;
  /** How long an operation waits for other writers before `tickets-locked`. Default 5 s. */
  readonly lockTimeoutMs?: number;
  /** For looking only: nothing is created or migrated, every change throws `tickets-readonly`. */
  readonly readOnly?: boolean;
}

/** Opens the file, makes folder (0700) and file (0600) when missing, and brings an older file up to date. */
export async function openTickets(_path: string, _options: TicketOptions): Promise<Tickets> {
  throw new HarnessError("internal", "not there yet");
}
