import { pino, type DestinationStream } from "pino";

/** JSON lines: time, level, event name, fields. What a person reads is derived from it, never the other way round. */
export interface Log {
  debug(event: string, fields?: Record<string, unknown>): void;
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>): void;
  error(event: string, fields?: Record<string, unknown>): void;
  child(fields: Record<string, unknown>): Log;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Fields whose names look like secrets are masked wherever they appear, two levels deep. */
const SECRET_PATHS = ["token", "apiKey", "api_key", "authorization", "password", "secret"].flatMap((name) => [
  name,
  `*.${name}`,
]);

export function jsonLog(options: { level?: LogLevel; stream?: DestinationStream } = {}): Log {
  const base = pino(
    {
      level: options.level ?? "info",
      base: null,
      messageKey: "event",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: "[masked]" },
    },
    options.stream ?? pino.destination({ dest: 2, sync: true }),
  );
  const wrap = (logger: typeof base): Log => ({
    debug: (event, fields = {}) => logger.debug(fields, event),
    info: (event, fields = {}) => logger.info(fields, event),
    warn: (event, fields = {}) => logger.warn(fields, event),
    error: (event, fields = {}) => logger.error(fields, event),
    child: (fields) => wrap(logger.child(fields)),
  });
  return wrap(base);
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

/** A file that log lines are appended to, each on disk's way before the call returns. */
export function logFile(path: string): DestinationStream {
  return pino.destination({ dest: path, sync: true, append: true });
}
