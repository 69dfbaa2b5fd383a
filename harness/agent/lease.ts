import { errorText, HarnessError } from "../base/errors.ts";
import type { Clock, Incident, Log } from "../protocol.ts";
import { LeaseLostError, type Tickets } from "../../tickets/index.ts";

export interface KeptLease extends AsyncDisposable {
  /** Aborts with LeaseLostError as soon as the lease is known to be gone. */
  readonly signal: AbortSignal;
  /** With the tickets that have joined it. */
  incident(): Incident;
  /** Stops renewing; resolves when no renewal is under way. Idempotent. */
  end(): Promise<void>;
}

/** Three tries within one lease: two may meet a locked file. */
const TRIES = 3;

/**
 * Renews the lease in the background. A renewal that cannot be made is tried again until the lease has run out by our
 * own clock; then it counts as lost, because whoever slept does not know what happened meanwhile.
 */
export function keepLease(
  incident: Incident,
  options: { readonly tickets: Tickets; readonly leaseMs: number; readonly clock: Clock; readonly log: Log },
): KeptLease {
  const { tickets, leaseMs, clock, log } = options;
  const lost = new AbortController();
  const ended = new AbortController();
  let latest = incident;
  const renewals = (async () => {
    let goodUntilMs = clock.monotonic() + leaseMs;
    for (;;) {
      await clock.sleep(leaseMs / TRIES, ended.signal);
      try {
        const asked = clock.monotonic();
        latest = await tickets.renew(incident, leaseMs);
        goodUntilMs = asked + leaseMs;
      } catch (error) {
        if (error instanceof LeaseLostError) return lost.abort(error);
        if (clock.monotonic() >= goodUntilMs)
          return lost.abort(new LeaseLostError(`the lease could not be renewed: ${errorText(error)}`));
        log.warn("lease.not-renewed", { why: errorText(error) });
      }
    }
  })().catch((error: unknown) => {
    if (!ended.signal.aborted) lost.abort(error);
  });
  const end = async (): Promise<void> => {
    ended.abort(new HarnessError("interrupted", "the session has ended"));
    await renewals;
  };
  return { signal: lost.signal, incident: () => latest, end, [Symbol.asyncDispose]: end };
}
