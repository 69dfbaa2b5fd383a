import { z } from "zod";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import type { Deps } from "../../../harness/protocol.ts";
import { Deadline } from "./deadline.ts";

export type ConnectDeps = Pick<Deps, "clock" | "fetch" | "log">;

const REQUEST_TIMEOUT_MS = 5_000;

const timeReply = z.object({ run: z.string(), monotonicMs: z.number(), wallMs: z.number() });

export interface ClockSample {
  readonly run: string;
  /** Our monotonic clock minus the program's. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/** Requests to the workload program, each with a timeout and a checked reply. */
export class ProgramRequests {
  readonly base: string;
  readonly #deps: ConnectDeps;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(base: string, deps: ConnectDeps, token?: string) {
    this.base = base;
    this.#deps = deps;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** @throws HarnessError `workload-failed`; the signal's reason when it aborts. */
  async json<T>(
    path: string,
    shape: z.ZodType<T>,
    { method = "GET", timeoutMs = REQUEST_TIMEOUT_MS }: { method?: string; timeoutMs?: number },
    signal: AbortSignal,
  ): Promise<T> {
    using deadline = new Deadline(this.#deps.clock, timeoutMs, signal);
    try {
      const reply = await this.#deps.fetch(this.base + path, {
        method,
        headers: this.#headers,
        signal: deadline.signal,
      });
      const text = await reply.text();
      if (!reply.ok) throw new Error(`${reply.status} ${text.trim()}`);
      return shape.parse(JSON.parse(text));
    } catch (cause) {
      signal.throwIfAborted();
      throw new HarnessError("workload-failed", `workload ${method} ${path}: ${errorText(cause)}`, { cause });
    }
  }

  /** Cristian's estimate: the program read its clock half-way between our asking and its answer. */
  async time(signal: AbortSignal): Promise<ClockSample> {
    const { clock } = this.#deps;
    const asked = clock.monotonic();
    const { run, monotonicMs } = await this.json("/time", timeReply, {}, signal);
    const answered = clock.monotonic();
    return { run, offsetMs: (asked + answered) / 2 - monotonicMs, roundTripMs: answered - asked };
  }

  /**
   * Lines of the history from the `offset`-th entry on, as they come; blank ones mean that the program is alive.
   *
   * @throws HarnessError `workload-failed` when another run answers, or the entries are no longer kept.
   */
  async *history(offset: number, run: string, signal: AbortSignal): AsyncGenerator<string, void> {
    const headers = this.#headers;
    const reply = await this.#deps.fetch(`${this.base}/history?offset=${offset}`, { headers, signal });
    if (!reply.ok || reply.body === null) throw new Error(`history: ${reply.status}`);
    if (reply.headers.get("x-run") !== run)
      throw new HarnessError("workload-failed", "the workload was restarted: its earlier history is gone");
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of reply.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  }
}
