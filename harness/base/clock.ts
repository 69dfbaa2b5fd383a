/** Milliseconds since the Unix epoch, UTC. Durations are plain numbers whose names end in `Ms`. */
export type EpochMs = number & { readonly __brand: "EpochMs" };

/** The only source of time. Everything that waits or stamps takes one, so that tests can drive it by hand. */
export interface Clock {
  /** Wall-clock time: for people and for files, never for durations. It may jump. */
  now(): EpochMs;
  /** Milliseconds from an arbitrary start that never go backwards: for durations and deadlines. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now() as EpochMs,
  monotonic: () => performance.now(),
  // Not node:timers/promises: it makes an error of its own, with a stack, for each wait that is not needed any more,
  // and every call under a deadline has one.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      // What whoever aborted gave, an error or not.
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, ms);
      if (signal?.aborted === true) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    }),
};

/** UTC with an explicit offset, as all text times in our own files. */
export function isoTime(at: EpochMs): string {
  return new Date(at).toISOString();
}
