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

/** Where entries are kept. Must keep their order. @throws when it cannot keep one: the session then stops. */
export type TranscriptSink = (entry: TranscriptEntry) => void;

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

  constructor(options: { clock: Clock; log: Log; sink: TranscriptSink; mask: Masker }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#sink = options.sink;
    this.#mask = options.mask;
  }

  reasoning(text: string): void {
    const now = this.#clock.now();
    this.#write({
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
  call(tool: string, params: unknown, effect: Effect | null): { readonly call: number; readonly startedAt: EpochMs } {
    const call = ++this.#calls;
    const startedAt = this.#clock.now();
    const text = `${tool} ${JSON.stringify(params) ?? ""}`;
    this.#write({ type: "tool_call", text, tool, params, exitCode: null, effect, call, startedAt, endedAt: null });
    return { call, startedAt };
  }

  result(
    begun: { readonly call: number; readonly startedAt: EpochMs },
    options: { tool: string; params: unknown; effect: Effect | null; text: string; exitCode: number },
  ): void {
    this.#write({ type: "tool_result", ...options, ...begun, endedAt: this.#clock.now() });
  }

  #write({ text, params, ...entry }: Omit<TranscriptEntry, "summary" | "raw"> & { text: string }): void {
    const raw = this.#mask(boundText(text, RAW_CHARS));
    const safe = { ...entry, raw, summary: boundText(raw, SUMMARY_CHARS), params: masked(params, this.#mask) };
    this.#sink(safe);
    const { raw: _, summary, type, ...fields } = safe;
    this.#log.info(type, { ...fields, text: summary });
  }
}

function masked(params: unknown, mask: Masker): unknown {
  if (params === null || params === undefined) return null;
  return JSON.parse(mask(JSON.stringify(params))) as unknown;
}
