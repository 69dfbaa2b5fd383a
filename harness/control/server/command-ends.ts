import { errorText } from "../../base/errors.ts";
import type { Log } from "../../protocol.ts";
import type { CommandReport } from "../contract.ts";
import type { CommandQueue } from "../queue/command-queue.ts";
import { ApiError } from "./api-error.ts";

/**
 * What came of commands, on its way to the disk. An act that has been cannot be taken back because its end could not be
 * written: that end is owed, told from memory meanwhile, and written before anything else is begun.
 */
export class CommandEnds {
  readonly #queue: CommandQueue;
  readonly #log: Log;
  readonly #owed = new Map<number, CommandReport>();

  constructor(queue: CommandQueue, log: Log) {
    this.#queue = queue;
    this.#log = log;
  }

  /** How many are owed. */
  get owed(): number {
    return this.#owed.size;
  }

  of(seq: number): CommandReport | null {
    return this.#owed.get(seq) ?? null;
  }

  put(seq: number, report: CommandReport): void {
    try {
      this.#queue.finish(seq, report);
    } catch (failure) {
      this.#owed.set(seq, report);
      this.#log.error("control.queue-failed", { why: errorText(failure) });
    }
  }

  /** @throws ApiError `unavailable` while something is owed and cannot be written. */
  settle(): void {
    for (const [seq, report] of this.#owed)
      try {
        this.#queue.finish(seq, report);
        this.#owed.delete(seq);
      } catch {
        throw new ApiError("unavailable", "the queue cannot be written: nothing is done until it can");
      }
  }
}
