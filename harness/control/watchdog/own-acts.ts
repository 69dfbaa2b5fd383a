import type { EpochMs } from "../../base/clock.ts";
import type { WatchedEvent } from "../../engine/watched.ts";

/** How long before and after an act its events may be stamped, or come. */
const AROUND_MS = 1_000;

/** When the watchdog itself stops and starts containers: what the engine tells of that is no operator's doing. */
export class OwnActs {
  readonly #spans: OwnSpan[] = [];

  add(span: OwnSpan): void {
    this.#spans.push(span);
    if (this.#spans.length > 64) this.#spans.shift();
  }

  covers({ component, at }: WatchedEvent): boolean {
    return this.#spans.some(
      (span) => span.component === component && at >= span.from - AROUND_MS && at <= (span.to ?? Infinity) + AROUND_MS,
    );
  }
}

export interface OwnSpan {
  readonly component: string;
  readonly from: EpochMs;
  /** Null = it is under way. */
  to: EpochMs | null;
}
