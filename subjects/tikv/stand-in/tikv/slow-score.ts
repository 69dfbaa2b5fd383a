/**
 * How slow a disk is, 1 (well) to 100: slow inspections multiply it, quiet time takes it back, as in
 * tikv/tikv:components/health_controller/src/slow_score.rs.
 */
export interface SlowScoreOptions {
  /** An inspection that takes this long is slow. */
  readonly timeoutMs: number;
  /** Between two inspections. */
  readonly intervalMs: number;
  /** The score is reconsidered after so many. */
  readonly roundTicks: number;
  /** From 100 to 1 without a slow one. */
  readonly recoveryMs: number;
}

/** A tenth of a round's inspections slow doubles the score; fewer raise it in proportion. */
const TIMEOUT_RATIO = 0.1;
const MAX = 100;

export class SlowScore {
  readonly #options: SlowScoreOptions;
  readonly #timeoutTicks: number;
  readonly #open = new Set<number>();
  #value = 1;
  #lastTick = 0;
  #slow = 0;
  #total = 0;
  #updatedAt: number;

  /** @param now of a monotonic clock, in milliseconds, as everywhere here */
  constructor(options: SlowScoreOptions, now: number) {
    this.#options = options;
    this.#timeoutTicks = Math.max(1, Math.ceil(options.timeoutMs / options.intervalMs));
    this.#updatedAt = now;
  }

  get value(): number {
    return this.#value;
  }

  /** Begins an inspection; at the end of a round the score changes. @returns the inspection's number */
  tick(now: number): number {
    this.#lastTick++;
    this.#open.add(this.#lastTick);
    if (this.#lastTick % this.#options.roundTicks === 0) this.#update(now);
    return this.#lastTick;
  }

  /** An inspection ended. @param busy the process itself was in the way: slow, but not because of the disk */
  record(tick: number, durationMs: number, busy: boolean): void {
    if (tick <= this.#lastTick - this.#timeoutTicks || !this.#open.delete(tick)) return;
    this.#total++;
    if (!busy && durationMs >= this.#options.timeoutMs) this.#slow++;
  }

  /** All that are open ended with the same answer. */
  recordOpen(durationMs: number): void {
    this.#total += this.#open.size;
    if (durationMs >= this.#options.timeoutMs) this.#slow += this.#open.size;
    this.#open.clear();
  }

  /** Inspections that should have ended long ago count as slow. */
  recordTimeouts(): void {
    const threshold = this.#lastTick - (this.#timeoutTicks - 1);
    for (const tick of this.#open) {
      if (tick > threshold) continue;
      this.#open.delete(tick);
      this.#total++;
      this.#slow++;
    }
  }

  /** What is open says nothing about the disk. */
  forgive(): void {
    this.#open.clear();
  }

  #update(now: number): void {
    if (this.#slow === 0) {
      const down = MAX * ((now - this.#updatedAt) / this.#options.recoveryMs);
      this.#value = Math.max(1, this.#value - down);
    } else {
      const near = Math.min(this.#slow / this.#total, TIMEOUT_RATIO) / TIMEOUT_RATIO;
      this.#value = Math.min(MAX, this.#value * (1 + near));
    }
    this.#slow = 0;
    this.#total = 0;
    this.#updatedAt = now;
  }
}
