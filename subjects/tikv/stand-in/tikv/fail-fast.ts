import type { Clock } from "../../../../harness/base/clock.ts";
import type { Counter } from "../../../common/metrics/registry.ts";
import type { NodeLog } from "../node-log.ts";

export interface FailFastOptions {
  readonly clock: Clock;
  readonly log: NodeLog;
  readonly criticalErrors: Counter;
  /** `raftstore.disk-hang-timeout` in ms; 0 = never. */
  timeoutMs(): number;
  /** Ends the process. */
  onHang(error: Error): void;
}

const CHECK_MS = 1_000;

/**
 * Ends a store whose disk does not answer any more: alive, it would keep leading regions that it cannot serve
 * (tikv/tikv:components/raftstore/src/store/fail_fast.rs, from 8.5.7 on). Writes of the log are the probe.
 */
export class FailFast {
  readonly #options: FailFastOptions;
  #writingSince: number | null = null;

  constructor(options: FailFastOptions) {
    this.#options = options;
  }

  /** Around every write of the log. */
  writing(since: number | null): void {
    this.#writingSince = since;
  }

  /** Looks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let last = this.#options.clock.monotonic();
    while (!signal.aborted) {
      await this.#options.clock.sleep(CHECK_MS, signal).catch(() => {});
      const now = this.#options.clock.monotonic();
      // A process that was stopped for a while gives its disk the time to answer.
      if (now - last > 2 * CHECK_MS && this.#writingSince !== null) this.#writingSince = now;
      last = now;
      if (!signal.aborted && this.#look(now)) return;
    }
  }

  /** @returns true when it is over. */
  #look(now: number): boolean {
    const { log, criticalErrors, timeoutMs, onHang } = this.#options;
    const timeout = timeoutMs();
    const elapsed = this.#writingSince === null ? 0 : now - this.#writingSince;
    if (timeout === 0 || elapsed < timeout / 2) return false;
    const fields = { disk: "raft", elapsed: `${(elapsed / 1000).toFixed(3)}s` };
    criticalErrors.inc({ type: "disk_probe_stuck_raft" });
    log.error("fail_fast.rs:187", "fail-fast probe: disk still not responsive after elapsed", fields);
    if (elapsed < timeout) return false;
    criticalErrors.inc({ type: "disk_probe_fail_fast_raft" });
    log.fatal(
      "fail_fast.rs:225",
      "fail-fast: disk probe timed out, shutting down to avoid serving on an unhealthy disk",
      { ...fields, timeout: `${timeout / 1000}s` },
    );
    onHang(new Error("fail-fast: TiKV self-killed due to disk unavailability"));
    return true;
  }
}
