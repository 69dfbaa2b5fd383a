import type { Clock } from "../harness/base/clock.ts";

/**
 * Time for leases and order: milliseconds that never go back, in this process or in the file, and always go on.
 *
 * A wall clock set back by an hour would keep a dead holder's lease alive for an hour. So each process carries the
 * greatest of its wall clock, what it said last plus the monotonic time since, and what the file has seen (`stored`).
 */
export class TicketClock {
  readonly #clock: Clock;
  #last: number;
  #monotonic: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#last = clock.now();
    this.#monotonic = clock.monotonic();
  }

  now(stored: number): number {
    const monotonic = this.#clock.monotonic();
    const carried = this.#last + (monotonic - this.#monotonic);
    this.#last = Math.max(Math.floor(carried), this.#clock.now(), stored);
    this.#monotonic = monotonic;
    return this.#last;
  }
}
