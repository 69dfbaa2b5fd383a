import { createWriteStream, type WriteStream } from "node:fs";

const LAST_WORDS_BYTES = 4_000;
/** The agent's program logs it once it waits for tickets. */
const STARTED = '"event":"agent.started"';

/** How an operator's program ended; `error` is null when it ended as it should. */
export interface OperatorExit {
  readonly code: number | null;
  readonly error: string | null;
}

/** Of an operator's program that was started. */
interface Running extends AsyncDisposable {
  readonly ended: Promise<OperatorExit>;
}

/** What an operator's program prints: kept in the run's folder, and the end of it for the sentence that says why it ended. */
export class OperatorOutput {
  readonly #log: WriteStream;
  readonly #listening = Promise.withResolvers<void>();
  #tail = "";

  constructor(path: string) {
    this.#log = createWriteStream(path, { flags: "a" });
  }

  take(bytes: Buffer, stream: "stdout" | "stderr"): void {
    this.#log.write(bytes);
    if (stream === "stdout") return;
    this.#tail = (this.#tail + bytes.toString("utf8")).slice(-LAST_WORDS_BYTES);
    if (this.#tail.includes(STARTED)) this.#listening.resolve();
  }

  exit(code: number | null, why: string | null): OperatorExit {
    this.#log.end();
    return { code, error: code === 0 ? null : (why ?? this.#tail.trim().split("\n").at(-1) ?? "") };
  }

  /**
   * Hands the run on when its program waits for tickets, or has ended. Its start is our doing, not the operator's: a
   * ticket that comes and goes meanwhile would never be seen. @throws the signal's reason when it aborts first; by then
   * the run is disposed.
   */
  async listening<R extends Running>(run: R, signal: AbortSignal): Promise<R> {
    try {
      await this.#heard(run.ended, signal);
      return run;
    } catch (error) {
      await run[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #heard(ended: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    const onAbort = (): void => aborted.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#listening.promise, ended, aborted.promise]);
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
