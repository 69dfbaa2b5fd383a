import type { Clock } from "../base/clock.ts";

const WINDOW_MS = 60_000;
const PER_KEY = 5;
const IN_ALL = 30;

/** Failed sign-ins of the last minute: after five by one name or from one address, or thirty in all, nobody is asked. */
export interface Attempts {
  /** @returns how long to wait, in ms; 0 = go on. */
  waitMs(keys: readonly string[]): number;
  failed(keys: readonly string[]): void;
  succeeded(keys: readonly string[]): void;
}

export function countAttempts(clock: Clock): Attempts {
  let all: readonly { readonly atMs: number; readonly key: string }[] = [];
  const recent = () => (all = all.filter(({ atMs }) => clock.monotonic() - atMs < WINDOW_MS));
  /** Until the oldest of the last `limit` leaves the window. */
  const wait = (times: readonly number[], limit: number): number => {
    const oldest = times.at(-limit);
    return times.length < limit || oldest === undefined ? 0 : oldest + WINDOW_MS - clock.monotonic();
  };
  return {
    waitMs: (keys) => {
      const now = recent();
      const own = keys.map((key) =>
        wait(
          now.filter((one) => one.key === key).map(({ atMs }) => atMs),
          PER_KEY,
        ),
      );
      const every = now.filter(({ key }) => key === "").map(({ atMs }) => atMs);
      return Math.max(0, ...own, wait(every, IN_ALL));
    },
    failed: (keys) => {
      const atMs = clock.monotonic();
      all = [...recent(), ...["", ...keys].map((key) => ({ atMs, key }))];
    },
    succeeded: (keys) => void (all = all.filter(({ key }) => !keys.includes(key))),
  };
}
