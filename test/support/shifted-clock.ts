import { systemClock, type Clock, type EpochMs } from "../../harness/base/clock.ts";

/** The real time, but so much later (or earlier): what a minute ago was done now. */
export function shiftedClock(byMs: number): Clock {
  return {
    now: () => (systemClock.now() + byMs) as EpochMs,
    monotonic: () => systemClock.monotonic(),
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
  };
}
