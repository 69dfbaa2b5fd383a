import { setTimeout as delay } from "node:timers/promises";

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
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // Node rejects with its own AbortError; callers want the reason that the aborter gave.
      signal?.throwIfAborted();
      throw error;
    }
  },
};

/** UTC with an explicit offset, as all text times in our own files. */
export function isoTime(at: EpochMs): string {
  return new Date(at).toISOString();
}
