import { errorText } from "../../harness/base/errors.ts";
import type { Clock, Reading } from "../../harness/protocol.ts";

/**
 * A source that is asked at most every `everyMs` and may be slow: a late answer is found by a later reading, so that it
 * never holds up the quick ones. Only the first reading waits for it, at most `firstWaitMs`.
 */
export function refreshed<T>(
  { clock, everyMs, firstWaitMs }: { readonly clock: Clock; readonly everyMs: number; readonly firstWaitMs: number },
  load: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal) => Promise<Reading<T>> {
  let latest: Reading<T> | null = null;
  let running: Promise<void> | null = null;
  let startedMs = -Infinity;

  const start = async (signal: AbortSignal): Promise<void> => {
    startedMs = clock.monotonic();
    try {
      latest = { ok: true, value: await load(signal), at: clock.now() };
    } catch (error) {
      // Who stopped asking learned nothing about the source.
      if (!signal.aborted) latest = { ok: false, why: errorText(error), at: clock.now() };
    } finally {
      running = null;
    }
  };

  return async (signal) => {
    if (running === null && clock.monotonic() - startedMs >= everyMs) running = start(signal);
    if (latest === null && running !== null) {
      const enough = new AbortController();
      const waited = clock.sleep(firstWaitMs, AbortSignal.any([signal, enough.signal])).catch(() => {});
      await Promise.race([running, waited]);
      enough.abort();
      signal.throwIfAborted();
    }
    return latest ?? { ok: false, why: "no answer yet", at: clock.now() };
  };
}
