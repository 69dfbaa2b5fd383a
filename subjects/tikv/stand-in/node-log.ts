import type { Clock } from "../../../harness/base/clock.ts";
import type { Log } from "../../../harness/base/log.ts";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;
export type NodeLogLevel = (typeof LEVELS)[number];

/** Log of a PD or a TiKV. `caller` is the source file and line that the real one names, e.g. `raft.rs:1743`. */
export interface NodeLog {
  debug(caller: string, message: string, fields?: NodeLogFields): void;
  info(caller: string, message: string, fields?: NodeLogFields): void;
  warn(caller: string, message: string, fields?: NodeLogFields): void;
  error(caller: string, message: string, fields?: NodeLogFields): void;
  fatal(caller: string, message: string, fields?: NodeLogFields): void;
}

/** A log whose level somebody changes while it is in use. */
export interface AdjustableNodeLog extends NodeLog {
  setLevel(level: NodeLogLevel): void;
}

export type NodeLogFields = Readonly<Record<string, string | number | boolean>>;

/**
 * TiDB's unified log format: `[2026/01/02 03:04:05.678 +00:00] [WARN] [raft.rs:1743] ["message"] [key=value]`, with
 * `[thread_id=1]` at the end where TiKV writes it; or the same as one JSON object a line. @param write gets whole lines.
 */
export function nodeLog(options: {
  readonly clock: Clock;
  readonly write: (line: string) => void;
  readonly level?: NodeLogLevel;
  readonly threadId?: number;
  readonly json?: boolean;
}): AdjustableNodeLog {
  const { clock, write, threadId } = options;
  const line = options.json === true ? jsonLine : textLine;
  let least = LEVELS.indexOf(options.level ?? "INFO");
  const at =
    (own: NodeLogLevel) =>
    (caller: string, message: string, fields: NodeLogFields = {}): void => {
      if (LEVELS.indexOf(own) < least) return;
      const all = threadId === undefined ? fields : { ...fields, thread_id: threadId };
      write(line(timeText(clock.now()), own, caller, message, all));
    };
  return {
    debug: at("DEBUG"),
    info: at("INFO"),
    warn: at("WARN"),
    error: at("ERROR"),
    fatal: at("FATAL"),
    setLevel: (level) => (least = LEVELS.indexOf(level)),
  };
}

/** A level as flags and configuration name it (`trace`, `warning`, `critical` ...). Null when it is none. */
export function namedLevel(name: string): NodeLogLevel | null {
  const levels: Readonly<Record<string, NodeLogLevel>> = {
    trace: "DEBUG",
    debug: "DEBUG",
    info: "INFO",
    warn: "WARN",
    warning: "WARN",
    error: "ERROR",
    critical: "FATAL",
    fatal: "FATAL",
  };
  return levels[name.toLowerCase()] ?? null;
}

/** For parts that know only `Log`: its events become messages of one caller. */
export function logOfNode(log: NodeLog, caller: string): Log {
  const wrap = (fixed: Record<string, unknown>): Log => {
    const at =
      (level: "debug" | "info" | "warn" | "error") =>
      (event: string, fields: Record<string, unknown> = {}): void => {
        const texts = Object.entries({ ...fixed, ...fields }).map(([key, value]) => [key, textOf(value)]);
        log[level](caller, event, Object.fromEntries(texts) as NodeLogFields);
      };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => wrap({ ...fixed, ...fields }),
    };
  };
  return wrap({});
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

type Line = (time: string, level: NodeLogLevel, caller: string, message: string, fields: NodeLogFields) => string;

const textLine: Line = (time, level, caller, message, fields) => {
  const pairs = Object.entries(fields).map(([key, value]) => ` [${quoted(key)}=${quoted(String(value))}]`);
  return `[${time}] [${level}] [${caller}] [${quoted(message)}]${pairs.join("")}\n`;
};

/** tikv/tikv:components/tikv_util/src/logger/mod.rs, `json_format` */
const jsonLine: Line = (time, level, caller, message, fields) =>
  `${JSON.stringify({ time, level, caller, message, ...fields })}\n`;

/** Quoted as JSON where the format asks for it: spaces, quotes, `=`, brackets, control characters, nothing at all. */
function quoted(text: string): string {
  return /^[^\s"=[\]\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
}

function timeText(epochMs: number): string {
  const iso = new Date(epochMs).toISOString();
  return `${iso.slice(0, 10).replaceAll("-", "/")} ${iso.slice(11, 23)} +00:00`;
}
