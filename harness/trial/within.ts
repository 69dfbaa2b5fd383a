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
