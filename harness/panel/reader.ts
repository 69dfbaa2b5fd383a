import { withDeadline } from "../base/deadline.ts";
import { errorText } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { unseen, type Seen } from "./sight.ts";

const ANSWER_MS = 8_000;

export interface ReaderOptions<T> {
  readonly what: string;
  /** While somebody looks at the page, and while nobody does. */
  readonly everyMs: { readonly watched: number; readonly alone: number };
  read(signal: AbortSignal): Promise<T>;
  /** Called after each reading, a failed one too. */
  changed(): void;
}

/** Reads one thing again and again, and keeps what it was when it can no longer be read. */
export class Reader<T> {
  seen: Seen<T> = unseen();
  readonly #options: ReaderOptions<T>;
  readonly #clock: Clock;
  #pause = new AbortController();
  #watched = false;

  constructor(options: ReaderOptions<T>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#pause = new AbortController();
      await this.#once(signal);
      const { everyMs } = this.#options;
      const pauseMs = this.#watched ? everyMs.watched : everyMs.alone;
      await this.#clock.sleep(pauseMs, AbortSignal.any([signal, this.#pause.signal])).catch(() => {});
    }
  }

  /** Does not wait for its turn. */
  nudge(): void {
    this.#pause.abort(new Error("asked to read now"));
  }

  watched(watched: boolean): void {
    if (watched && !this.#watched) this.nudge();
    this.#watched = watched;
  }

  async #once(signal: AbortSignal): Promise<void> {
    try {
      const { what, read } = this.#options;
      const value = await withDeadline(this.#clock, { ms: ANSWER_MS, what, signal }, read);
      this.seen = { value, at: this.#clock.now(), why: null };
    } catch (error) {
      if (signal.aborted) return;
      this.seen = { ...this.seen, why: errorText(error) };
    }
    this.#options.changed();
  }
}
