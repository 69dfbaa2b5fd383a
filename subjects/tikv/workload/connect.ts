import { z } from "zod";
import { errorText, HarnessError } from "../../../harness/base/errors.ts";
import type { ClientWindow, Operation, Workload } from "../../../harness/protocol.ts";
import { waitFor } from "../../../harness/base/wait.ts";
import { ProgramRequests, type ConnectDeps } from "./program-requests.ts";

export interface ConnectOptions {
  /** Base URL of the program's HTTP side, e.g. `http://127.0.0.1:20090`. */
  readonly url: string;
  /** Its `CONTROL_TOKEN`. */
  readonly token?: string;
  /** How long the program may take to answer for the first time. */
  readonly timeoutMs?: number;
  /** Delete every key of this run when disposed: for clusters that are not ours. */
  readonly cleanUp?: boolean;
}

const CLOCK_SAMPLES = 5;
const LAST_OPERATIONS_MS = 60_000;
const CLEAN_UP_MS = 60_000;
/** How long the program may be out of reach before its history counts as lost. */
const HISTORY_PATIENCE_MS = 15_000;
const RECONNECT_EVERY_MS = 200;

const windowReply = z.object({
  windowMs: z.number(),
  operations: z.number(),
  okRatio: z.number().nullable(),
  p99Ms: z.number().nullable(),
});
const stopReply = z.object({ operations: z.number() });
const readBackReply = z.object({ complete: z.boolean(), values: z.record(z.string(), z.string()) });
const cleanUpReply = z.object({ complete: z.boolean() });
const operation = z.object({
  client: z.number(),
  kind: z.enum(["write", "read"]),
  key: z.string(),
  value: z.string().nullable(),
  outcome: z.enum(["ok", "failed", "unknown"]),
  startedMs: z.number(),
  endedMs: z.number(),
  error: z.string().nullable(),
});
const historyLine = z.union([z.object({ end: z.number() }), operation]);

/**
 * The lab's handle on a running workload program. Waits until it answers and estimates the offset between its monotonic
 * clock and ours. Disposing lets go of the program (after deleting its keys when asked); it does not end the process:
 * whoever started it does.
 *
 * @throws HarnessError `workload-failed` when it does not answer within `timeoutMs`.
 */
export async function connectWorkload(
  { url, token, timeoutMs = 10_000, cleanUp = false }: ConnectOptions,
  deps: ConnectDeps,
  signal: AbortSignal,
): Promise<Workload> {
  const requests = new ProgramRequests(url.replace(/\/+$/, ""), deps, token);
  const what = `the workload at ${requests.base}`;
  const wait = { clock: deps.clock, timeoutMs, everyMs: 100, what, signal };
  const first = await waitFor(() => requests.time(signal).catch(() => null), wait).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new HarnessError("workload-failed", `${what} does not answer: ${errorText(cause)}`, { cause });
  });
  let best = first;
  for (let sample = 1; sample < CLOCK_SAMPLES; sample++) {
    const next = await requests.time(signal);
    if (next.roundTripMs < best.roundTripMs) best = next;
  }
  return new ConnectedWorkload({ requests, deps, run: first.run, offsetMs: best.offsetMs, cleanUp });
}

interface Connection {
  readonly requests: ProgramRequests;
  readonly deps: ConnectDeps;
  readonly run: string;
  /** Our monotonic clock minus the program's. */
  readonly offsetMs: number;
  readonly cleanUp: boolean;
}

class ConnectedWorkload implements Workload {
  readonly metricsUrl: string;
  readonly #connection: Connection;
  readonly #disposed = new AbortController();
  #reading = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.metricsUrl = `${connection.requests.base}/metrics`;
  }

  window(windowMs: number, signal: AbortSignal): Promise<ClientWindow> {
    return this.#connection.requests.json(`/window?ms=${atLeastOne(windowMs)}`, windowReply, {}, signal);
  }

  async stop(signal: AbortSignal): Promise<void> {
    await this.#connection.requests.json("/stop", stopReply, { method: "POST", timeoutMs: LAST_OPERATIONS_MS }, signal);
  }

  async readBack(
    { timeoutMs }: { readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string> | null> {
    const path = `/readback?timeout_ms=${atLeastOne(timeoutMs)}`;
    // The program keeps the time; ours is there for the case that it does not.
    const options = { method: "POST", timeoutMs: timeoutMs + 5_000 };
    const { complete, values } = await this.#connection.requests.json(path, readBackReply, options, signal);
    return complete ? new Map(Object.entries(values)) : null;
  }

  async *history(signal: AbortSignal): AsyncGenerator<Operation, void> {
    if (this.#reading) throw new HarnessError("workload-failed", "the history is already being read");
    this.#reading = true;
    const { requests, run, offsetMs, deps } = this.#connection;
    const { clock, log } = deps;
    const alive = AbortSignal.any([signal, this.#disposed.signal]);
    let next = 0;
    let heardAt = clock.monotonic();
    while (!alive.aborted) {
      try {
        for await (const line of requests.history(next, run, alive)) {
          heardAt = clock.monotonic();
          if (line === "") continue;
          const entry = historyLine.parse(JSON.parse(line));
          if ("end" in entry) return;
          next++;
          yield { ...entry, startedMs: entry.startedMs + offsetMs, endedMs: entry.endedMs + offsetMs };
        }
      } catch (cause) {
        if (alive.aborted) break;
        if (cause instanceof HarnessError) throw cause;
        if (clock.monotonic() - heardAt > HISTORY_PATIENCE_MS)
          throw new HarnessError("workload-failed", `the workload's history broke off: ${errorText(cause)}`, { cause });
        log.debug("workload history interrupted", { why: errorText(cause), read: next });
      }
      await clock.sleep(RECONNECT_EVERY_MS, alive).catch(() => {});
    }
    signal.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed.signal.aborted) return;
    this.#disposed.abort();
    if (this.#connection.cleanUp) await this.#cleanUp();
  }

  /** A disposer does not throw: keys that stay behind are harmless and said. */
  async #cleanUp(): Promise<void> {
    const { requests, deps } = this.#connection;
    const never = new AbortController().signal;
    try {
      await this.stop(never);
      const options = { method: "POST", timeoutMs: CLEAN_UP_MS + 5_000 };
      const path = `/cleanup?timeout_ms=${CLEAN_UP_MS}`;
      const { complete } = await requests.json(path, cleanUpReply, options, never);
      if (!complete) deps.log.warn("workload keys left behind", { why: "not every key could be deleted in time" });
    } catch (error) {
      deps.log.warn("workload keys left behind", { why: errorText(error) });
    }
  }
}

function atLeastOne(ms: number): number {
  return Math.max(1, Math.round(ms));
}
