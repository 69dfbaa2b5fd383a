import type { Clock } from "../../base/clock.ts";
import type { CommandReport } from "../contract.ts";

const KEPT_MS = 10 * 60_000;
const MOST = 2_000;
const MOST_CHARS = 32 * 1024 * 1024;

interface Answer {
  readonly digest: string;
  readonly report: CommandReport;
  readonly atMs: number;
  readonly chars: number;
}

/**
 * First answers of commands that only look, for the same key asked again. In memory: a read that is repeated after a
 * restart does no harm, and writing each to disk would cost more than the read.
 */
export class RecentAnswers {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #answers = new Map<string, Answer>();
  #chars = 0;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  get(key: string): Pick<Answer, "digest" | "report"> | null {
    this.#forget();
    return this.#answers.get(key) ?? null;
  }

  keep(key: string, digest: string, report: CommandReport): void {
    const { stdout = "", data } = report.result ?? {};
    const chars = 200 + stdout.length + (data === null ? 0 : 2 * stdout.length);
    this.#answers.set(key, { digest, report, atMs: this.#clock.monotonic(), chars });
    this.#chars += chars;
    this.#forget();
  }

  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [key, { atMs, chars }] of this.#answers) {
      const full = this.#answers.size > MOST || this.#chars > MOST_CHARS;
      if (!full && now - atMs < KEPT_MS) return;
      this.#answers.delete(key);
      this.#chars -= chars;
    }
  }
}
