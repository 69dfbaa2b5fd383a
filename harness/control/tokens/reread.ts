import type { Clock } from "../../base/clock.ts";

/**
 * Makes many callers share readings: each is answered by one that began after it asked, at most one is under way, and
 * between two beginnings lies at least `everyMs`.
 */
export function sharedReading(
  read: () => Promise<void>,
  { everyMs, clock, signal }: { readonly everyMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  let begunAt = Number.NEGATIVE_INFINITY;
  const begin = async (): Promise<void> => {
    await running.catch(() => {});
    const waitMs = begunAt + everyMs - clock.monotonic();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    begunAt = clock.monotonic();
    next = null;
    running = read();
    await running;
  };
  return () => (next ??= begin());
}
