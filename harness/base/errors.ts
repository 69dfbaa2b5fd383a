/**
 * Every failure that a person is meant to read. `code` is stable and maps to an exit code (`exit-codes.ts` of the
 * CLI); the message says what happened, where, and what to do.
 */
export type ErrorCode =
  | "usage"
  | "config-invalid"
  | "not-found"
  | "engine-unreachable"
  | "engine-permission"
  | "engine-failed"
  | "image-missing"
  | "network-missing"
  | "not-supported"
  | "wrong-state"
  | "port-taken"
  | "already-running"
  | "not-ours"
  | "subject-failed"
  | "workload-failed"
  | "fault-failed"
  | "limit-exceeded"
  | "store-failed"
  | "tickets-locked"
  | "tickets-readonly"
  | "tickets-corrupt"
  | "tickets-newer"
  | "tickets-full"
  | "tickets-foreign"
  | "tokens-failed"
  | "control-refused"
  | "lease-lost"
  | "operator-failed"
  | "api-key-missing"
  | "api-failed"
  | "timeout"
  | "interrupted"
  | "internal";

export class HarnessError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
  }
}

export class ConfigError extends HarnessError {
  constructor(message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super("config-invalid", message, options);
  }
}

/**
 * What an engine could not do. `not-supported` = this engine never can; `not-found` = no such component; `wrong-state` =
 * not while the component is as it is (pause or exec of a stopped one).
 */
export class EngineError extends HarnessError {}

export class SubjectError extends HarnessError {
  constructor(message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super("subject-failed", message, options);
  }
}

/** A limit of a run was reached: `type` names it, `value` is what was used, `limit` what was allowed. */
export class LimitExceeded extends HarnessError {
  readonly type: string;
  readonly value: number;
  readonly limit: number;
  constructor(type: string, value: number, limit: number) {
    super("limit-exceeded", `${type} limit reached: ${value} of ${limit}`, { details: { type, value, limit } });
    this.type = type;
    this.value = value;
    this.limit = limit;
  }
}

export class StoreError extends HarnessError {
  constructor(message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super("store-failed", message, options);
  }
}

/** The text of anything thrown, without its stack. */
export function errorText(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map((inner) => errorText(inner)).join("; ");
  return error instanceof Error ? error.message : String(error);
}
