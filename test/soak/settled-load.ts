import type { Clock } from "../../harness/base/clock.ts";
import type { RawClient, RawResult } from "../../subjects/tikv/workload/raw-client.ts";

export interface SettledLoadOptions {
  readonly client: Pick<RawClient, "put" | "get">;
  readonly clock: Clock;
  /** Reads and writes, together. */
  readonly ratePerSecond: number;
}

/** What one key may hold: what was acknowledged last, or any write of which nothing is known. */
interface Register {
  readonly key: string;
  last: string | null;
  readonly unknown: Set<string>;
}

const WORKERS = 16;
const KEYS_EACH = 32;
/** As the workload's values are. */
const VALUE_BYTES = 100;

/**
 * Load that does not make data grow: every worker overwrites and reads keys of its own, one after the other, so that
 * what a key may hold is known at each moment. (A write of unknown outcome may be done at any later time.)
 */
export class SettledLoad {
  readonly #options: SettledLoadOptions;
  readonly #registers: readonly Register[];
  readonly #outcomes: { readonly atMs: number; readonly ok: boolean }[] = [];
  readonly #over = new AbortController();
  readonly #working: Promise<unknown>;
  readonly wrong: string[] = [];
  operations = 0;
  succeeded = 0;
  acknowledged = 0;
  reads = 0;

  constructor(options: SettledLoadOptions) {
    this.#options = options;
    this.#registers = Array.from({ length: WORKERS * KEYS_EACH }, (_, number) => ({
      // Below every one of the sixteen regions that the workload's keys are spread over.
      key: `k${(number % 16).toString(16)}-settled-${number}`,
      last: null,
      unknown: new Set(),
    }));
    this.#working = Promise.all(Array.from({ length: WORKERS }, (_, worker) => this.#work(worker)));
  }

  /** Of the operations that ended in the last so many milliseconds; null when none did. */
  okRatio(windowMs: number): number | null {
    const from = this.#options.clock.monotonic() - windowMs;
    const recent = this.#outcomes.filter(({ atMs }) => atMs >= from);
    return recent.length === 0 ? null : recent.filter(({ ok }) => ok).length / recent.length;
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#working;
  }

  /** Once more every key, when nobody writes, until each was read or the signal is aborted. */
  async readBack(signal: AbortSignal): Promise<{ readonly unread: number; readonly wrong: number }> {
    const before = this.wrong.length;
    let unread = 0;
    for (const register of this.#registers) {
      let done = false;
      while (!done && !signal.aborted) done = await this.#read(register, signal);
      if (!done) unread++;
    }
    return { unread, wrong: this.wrong.length - before };
  }

  async #work(worker: number): Promise<void> {
    const { clock, ratePerSecond } = this.#options;
    const own = this.#registers.slice(worker * KEYS_EACH, (worker + 1) * KEYS_EACH);
    const everyMs = (WORKERS * 1_000) / ratePerSecond;
    const signal = new AbortController().signal;
    for (let number = 0; !this.#over.signal.aborted; number++) {
      // A write, and later a read, of each key in turn.
      const register = own[(number >> 1) % KEYS_EACH] as Register;
      await (number % 2 === 0 ? this.#write(register, number, signal) : this.#read(register, signal));
      await clock.sleep(everyMs, this.#over.signal).catch(() => {});
    }
  }

  async #write(register: Register, number: number, signal: AbortSignal): Promise<void> {
    const value = `${number}`.padEnd(VALUE_BYTES, ".");
    const result = await this.#options.client.put(register.key, value, signal);
    this.#count(result);
    if (result.outcome === "unknown") register.unknown.add(value);
    if (result.outcome !== "ok") return;
    register.last = value;
    this.acknowledged++;
  }

  async #read(register: Register, signal: AbortSignal): Promise<boolean> {
    const result = await this.#options.client.get(register.key, signal);
    this.#count(result);
    if (result.outcome !== "ok") return false;
    this.reads++;
    const { last, unknown } = register;
    if (result.value !== last && !(result.value !== null && unknown.has(result.value)))
      this.wrong.push(`${register.key} holds ${result.value?.trimEnd() ?? "nothing"}, written last was ${last ?? "-"}`);
    return true;
  }

  #count({ outcome }: RawResult): void {
    const { clock } = this.#options;
    this.operations++;
    if (outcome === "ok") this.succeeded++;
    this.#outcomes.push({ atMs: clock.monotonic(), ok: outcome === "ok" });
    if (this.#outcomes.length > 10_000) this.#outcomes.splice(0, 5_000);
  }
}
