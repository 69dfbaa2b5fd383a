import type { Clock } from "./clock.ts";
import { HarnessError } from "./errors.ts";

export interface WaitOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly everyMs: number;
  /** Completes "timed out after 30 s waiting for …". */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks until the answer is neither null, undefined nor false. For states that can only be polled; where there is an
 * event, await the event.
 *
 * @throws HarnessError `timeout` naming `what` and the last refusal; the signal's reason when it aborts.
 */
export async function waitFor<T>(
  ask: (signal: AbortSignal) => Promise<T | null | undefined | false> | T | null | undefined | false,
  { clock, timeoutMs, everyMs, what, signal }: WaitOptions,
): Promise<T> {
  const deadline = clock.monotonic() + timeoutMs;
  const never = new AbortController().signal;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask(signal ?? never);
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (clock.monotonic() >= deadline)
      throw new HarnessError("timeout", `timed out after ${Math.round(timeoutMs / 100) / 10} s waiting for ${what}`);
    await clock.sleep(Math.min(everyMs, Math.max(1, deadline - clock.monotonic())), signal);
  }
}
