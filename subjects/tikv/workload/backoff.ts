import type { Random } from "../../../harness/base/random.ts";

/** How long to wait before the next attempt: doubling, capped, the upper half drawn at random ("equal jitter"). */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Official clients: region miss 2 -> 500 ms (`tikv-facts.md` §9). */
export const REGION_MISS: Backoff = { baseMs: 2, capMs: 500 };
/** Official clients wait 100 ms -> 2 s; ours start lower, because an operation here has 2 s in all. */
export const STORE_UNREACHABLE: Backoff = { baseMs: 20, capMs: 500 };
export const PD_UNREACHABLE: Backoff = { baseMs: 50, capMs: 500 };
export const BUSY: Backoff = { baseMs: 50, capMs: 500 };

/** Wait before attempt number `attempt + 1`; the first attempt is number 0. */
export function backoffMs({ baseMs, capMs }: Backoff, attempt: number, random: Random): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20));
  return full / 2 + (random.next() * full) / 2;
}
