import { closeSync, fdatasync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../../../harness/base/clock.ts";
import { SlowScore } from "./slow-score.ts";

export interface DiskInspectorOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly timeFactor: number;
  /** One inspection's duration in seconds. */
  observe(seconds: number): void;
}

/** raftstore.inspect-interval; also what an inspection may take. Not scaled: a disk is as fast as it is. */
const INTERVAL_MS = 100;
/** health_controller's DISK_ROUND_TICKS, 3 s. */
const ROUND_TICKS = 30;
const LEAST_ROUND_TICKS = 5;
/** DISK_RECOVERY_INTERVALS */
const RECOVERY_MS = 300_000;
/** A timer this late says that the process had no processor, so that durations say nothing about the disk. */
const BUSY_LATE_MS = 30;
const FILE = ".disk_latency_inspector.tmp";

const syncData = promisify(fdatasync);

/**
 * Looks every 100 ms how long the disk takes to keep something: a write of the log that happened since the last look
 * is such an answer, else a few bytes are written and synced.
 */
export class DiskInspector implements Disposable {
  readonly #options: DiskInspectorOptions;
  readonly #score: SlowScore;
  readonly #path: string;
  #fd: number | null = null;
  #probingSince: number | null = null;
  /** The longest write since the last look, in ms. */
  #written: number | null = null;
  #writingSince: number | null = null;
  #busyUntil = 0;

  constructor(options: DiskInspectorOptions) {
    this.#options = options;
    const { clock, timeFactor, folder } = options;
    this.#path = join(folder, FILE);
    this.#score = new SlowScore(
      {
        timeoutMs: INTERVAL_MS,
        intervalMs: INTERVAL_MS,
        roundTicks: Math.max(LEAST_ROUND_TICKS, Math.round(ROUND_TICKS * timeFactor)),
        recoveryMs: RECOVERY_MS * timeFactor,
      },
      clock.monotonic(),
    );
  }

  /** 1 to 100. */
  get score(): number {
    return this.#score.value;
  }

  /** Around every write of the log. */
  writing(since: number | null): void {
    if (since === null && this.#writingSince !== null)
      this.#written = Math.max(this.#written ?? 0, this.#options.clock.monotonic() - this.#writingSince);
    this.#writingSince = since;
  }

  /** Looks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (let due = clock.monotonic() + INTERVAL_MS; !signal.aborted; due += INTERVAL_MS) {
      await clock.sleep(Math.max(0, due - clock.monotonic()), signal).catch(() => {});
      const now = clock.monotonic();
      const late = now - due;
      // Stopped, or starved: what was under way is not the disk's doing.
      if (late > BUSY_LATE_MS) this.#busyUntil = now + INTERVAL_MS;
      if (late > INTERVAL_MS) due = now;
      if (!signal.aborted) this.#look(now);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    rmSync(this.#path, { force: true });
  }

  #look(now: number): void {
    const [written, underWay] = [this.#written, this.#writingSince ?? this.#probingSince];
    this.#written = null;
    if (now < this.#busyUntil) this.#score.forgive();
    else if (written !== null) this.#score.recordOpen(written);
    else if (underWay !== null && now - underWay >= INTERVAL_MS) this.#score.recordTimeouts();
    const tick = this.#score.tick(now);
    if (written !== null) this.#end(tick, written, now);
    else if (underWay === null) void this.#probe(tick);
  }

  async #probe(tick: number): Promise<void> {
    const { clock } = this.#options;
    const started = clock.monotonic();
    this.#probingSince = started;
    try {
      this.#fd ??= openSync(this.#path, "w", 0o600);
      writeSync(this.#fd, "inspect", 0);
      await syncData(this.#fd);
      this.#end(tick, clock.monotonic() - started, started);
    } catch {
      // A disk that takes nothing any more is found by whoever writes data.
    } finally {
      this.#probingSince = null;
    }
  }

  #end(tick: number, durationMs: number, started: number): void {
    this.#options.observe(durationMs / 1000);
    this.#score.record(tick, durationMs, started < this.#busyUntil);
  }
}
