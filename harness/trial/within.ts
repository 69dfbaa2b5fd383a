import type { Clock } from "../protocol.ts";

/** True when `what` came first. */
export async function withinMs(
  what: Promise<unknown>,
  ms: number,
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<boolean> {
  const done = new AbortController();
  const late = clock.sleep(ms, AbortSignal.any([signal, done.signal])).then(
    () => false,
    () => {
      signal.throwIfAborted();
      return false;
    },
  );
  try {
    return await Promise.race([what.then(() => true), late]);
  } finally {
    done.abort();
    late.catch(() => {});
  }
}

/**
 * The same, where time in which somebody was waited for does not count: `waitedMs` says how much that was so far.
 */
export async function withinWorkingMs(
  what: Promise<unknown>,
  ms: number,
  waitedMs: () => Promise<number>,
  deps: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<boolean> {
  const startedMs = deps.clock.monotonic();
  for (let left = ms; left > 0; left = ms - (deps.clock.monotonic() - startedMs) + (await waitedMs()))
    if (await withinMs(what, Math.max(left, LEAST_STEP_MS), deps, signal)) return true;
  return false;
}

/** While somebody is waited for, what is left does not shrink; it is not looked at more often than this. */
const LEAST_STEP_MS = 250;
