import type { Clock, EpochMs } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Effect } from "../protocol.ts";
import { boundText, RAW_CHARS } from "./output.ts";

/** One thing that happened in a session, in the words of the shared table `agent_log_entries`. */
export interface TranscriptEntry {
  readonly type: "reasoning" | "tool_call" | "tool_result";
  /** Short, for people. */
  readonly summary: string;
  /** The whole of it, bounded only against runaway output. */
  readonly raw: string;
  readonly tool: string | null;
  readonly params: unknown;
  /** 0 = worked, 1 = refused or failed, or the program's own; null where there is none. */
  readonly exitCode: number | null;
  readonly effect: Effect | null;
  /** Ties a result to its call. */
  readonly call: number | null;
  readonly startedAt: EpochMs;
  readonly endedAt: EpochMs | null;
}

/** Where entries are kept. @throws when it cannot keep one: the session then stops. */
export type TranscriptSink = (entry: TranscriptEntry) => Promise<void>;

/** A call that has been written down and not yet answered. */
export interface BegunCall {
  readonly call: number;
  readonly startedAt: EpochMs;
}

const SUMMARY_CHARS = 400;

/** Texts that must never be written anywhere, such as the API key. */
export type Masker = (text: string) => string;

export function maskerOf(secrets: readonly (string | undefined)[]): Masker {
  const known = secrets.filter((secret): secret is string => secret !== undefined && secret.length >= 8);
  return (text) => known.reduce((masked, secret) => masked.replaceAll(secret, "[masked]"), text);
}

/**
 * The session's story in true order, written as it happens: a call before it runs, its result when it ends. What is
 * kept here is what the audit trail, the log and the record show; nothing is added afterwards.
 */
export class Transcript {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #sink: TranscriptSink;
  readonly #mask: Masker;
  #calls = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(options: { clock: Clock; log: Log; sink: TranscriptSink; mask: Masker }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#sink = options.sink;
    this.#mask = options.mask;
  }

  /** Resolves when it is kept; so does everything below. What is not awaited still keeps its place. */
  async reasoning(text: string): Promise<void> {
    const now = this.#clock.now();
    await this.#write({
      type: "reasoning",
      text,
      tool: null,
      params: null,
      exitCode: null,
      effect: null,
      call: null,
      startedAt: now,
      endedAt: now,
    });
  }

  /** Before the call runs. The returned number goes to `result`. */
  async call(tool: string, params: unknown, effect: Effect | null): Promise<BegunCall> {
    const call = ++this.#calls;
    const startedAt = this.#clock.now();
    const text = `${effect ?? "refused"}: ${tool} ${JSON.stringify(params) ?? ""}`;
    await this.#write({
      type: "tool_call",
      text,
      tool,
      params,
      exitCode: null,
      effect,
      call,
      startedAt,
      endedAt: null,
    });
    return { call, startedAt };
  }

  async result(
    begun: BegunCall,
    options: { tool: string; params: unknown; effect: Effect | null; text: string; exitCode: number },
  ): Promise<void> {
    await this.#write({ type: "tool_result", ...options, ...begun, endedAt: this.#clock.now() });
  }

  #write({ text, params, ...entry }: Omit<TranscriptEntry, "summary" | "raw"> & { text: string }): Promise<void> {
    const raw = this.#mask(boundText(text, RAW_CHARS));
    const safe = { ...entry, raw, summary: boundText(raw, SUMMARY_CHARS), params: masked(params, this.#mask) };
    const { raw: _, summary, type, ...fields } = safe;
    this.#log.info(type, { ...fields, text: summary });
    // One after another even when calls run at once: ids in the file are the order in which things happened. After a
    // failure nothing more is written, so that no gap looks like silence.
    this.#written = this.#written.then(() => this.#sink(safe));
    this.#written.catch(() => {});
    return this.#written;
  }
}

function masked(params: unknown, mask: Masker): unknown {
  if (params === null || params === undefined) return null;
  return JSON.parse(mask(JSON.stringify(params))) as unknown;
}
