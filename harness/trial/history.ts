import type { Operation, Workload } from "../protocol.ts";
import type { Recorder } from "./recorder.ts";

/** Copies the workload's history to the run's folder as it happens, and keeps it for the checkers. */
export class HistoryDrain implements AsyncDisposable {
  readonly operations: Operation[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(workload: Workload, run: Recorder) {
    this.#done = this.#drain(workload, run);
    // Read by `finish`; a failure in between must not be an unhandled rejection.
    this.#done.catch(() => {});
  }

  /** Resolves when the stopped workload's last operation has been read. @throws when the stream broke. */
  finish(): Promise<void> {
    return this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done.catch(() => {});
  }

  async #drain(workload: Workload, run: Recorder): Promise<void> {
    try {
      for await (const operation of workload.history(this.#stop.signal)) {
        this.operations.push(operation);
        run.folder.append("history.jsonl", operation);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }
}
