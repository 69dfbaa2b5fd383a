import type { Clock } from "./clock.ts";
import { HarnessError } from "./errors.ts";

const OVER = "it is over";

/**
 * Runs `task` with a signal that aborts after `ms` on the given clock, or when the caller's signal does. The task must
 * honour its signal; nothing is left waiting afterwards.
 *
 * @throws HarnessError `timeout` naming `what`; the caller's reason when it aborted; whatever the task threw.
 */
export async function withDeadline<T>(
  clock: Clock,
  { ms, what, signal }: { readonly ms: number; readonly what: string; readonly signal?: AbortSignal | undefined },
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => late.abort(new HarnessError("timeout", `${what}: no answer within ${ms} ms`)),
    () => {},
  );
  const inner = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  try {
    return await task(inner);
  } catch (error) {
    // fetch wraps or replaces the reason in some versions; callers branch on ours.
    inner.throwIfAborted();
    throw error;
  } finally {
    // A reason of ours: the platform's own is made with a stack each time.
    done.abort(OVER);
  }
}
