import { isoTime } from "../base/clock.ts";
import type { Clock, EpochMs, TrialEvent, TrialHappening } from "../protocol.ts";
import type { RunFolder } from "../store/run-folder.ts";
import type { TrialRecord } from "../store/record.ts";

/** The record of a running trial and its time: zero is the moment before the first fault is made. */
export class Recorder {
  readonly record: TrialRecord;
  readonly folder: RunFolder;
  readonly #clock: Clock;
  readonly #show: (event: TrialEvent) => void;
  #zeroMonotonicMs: number | null = null;
  #zeroEpochMs: EpochMs | null = null;

  constructor(record: TrialRecord, folder: RunFolder, clock: Clock, show: (event: TrialEvent) => void) {
    this.record = record;
    this.folder = folder;
    this.#clock = clock;
    this.#show = show;
  }

  startCounting(): void {
    this.#zeroMonotonicMs = this.#clock.monotonic();
    this.#zeroEpochMs = this.#clock.now();
    this.record.historyZeroMs = this.#zeroMonotonicMs;
  }

  get counting(): boolean {
    return this.#zeroMonotonicMs !== null;
  }

  /** Milliseconds since zero on this process's monotonic clock; negative before it. */
  sinceMs(monotonicMs = this.#clock.monotonic()): number {
    return monotonicMs - (this.#zeroMonotonicMs ?? monotonicMs + 1);
  }

  /** For moments that only another process saw: its wall clock against ours at zero (one host, or one host's containers). */
  sinceMsOf(at: EpochMs): number {
    return at - (this.#zeroEpochMs ?? at + 1);
  }

  /** `happenedAt`: for what another process saw; without it, now. */
  emit(happening: TrialHappening, happenedAt?: EpochMs): void {
    const sinceMs = happenedAt === undefined ? this.sinceMs() : this.sinceMsOf(happenedAt);
    const event: TrialEvent = {
      ...happening,
      at: happenedAt ?? this.#clock.now(),
      sinceMs: this.counting ? Math.round(sinceMs) : null,
    };
    this.folder.append("events.jsonl", event);
    this.#show(event);
  }

  /** Sets a mark unless it has been set. */
  mark(name: keyof TrialRecord["marks"], sinceMs = this.sinceMs()): void {
    this.record.marks[name] ??= Math.round(sinceMs);
  }

  async end(status: "completed" | "void"): Promise<void> {
    this.record.status = status;
    this.record.endedAt = isoTime(this.#clock.now());
    await this.folder.save(this.record);
  }
}
