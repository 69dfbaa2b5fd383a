import type { ErrorCode } from "../base/errors.ts";

/**
 * What a shell or a CI job can branch on. 0 = done, and where there is a verdict it is a pass. Documented in
 * `docs/exit-codes.md`; a test compares the two.
 */
export const EXIT = {
  ok: 0,
  /** The lab worked; the outcome is not a pass (verdict fail or unknown, a check of `doctor` that failed, a difference found). */
  notPassed: 1,
  usage: 2,
  /** The trial is void: the lab itself failed, so nothing can be said about the operator. */
  void: 3,
  notFound: 4,
  /** Something of this machine is missing or in the way: engine, image, network, port, key, permission. */
  environment: 5,
  /** Another run or a person has it. */
  busy: 6,
  tickets: 7,
  failed: 8,
  timeout: 9,
  internal: 70,
  interrupted: 130,
} as const;

const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  usage: EXIT.usage,
  "config-invalid": EXIT.usage,
  "not-found": EXIT.notFound,
  "engine-unreachable": EXIT.environment,
  "engine-permission": EXIT.environment,
  "engine-failed": EXIT.failed,
  "image-missing": EXIT.environment,
  "network-missing": EXIT.environment,
  "not-supported": EXIT.environment,
  "control-refused": EXIT.environment,
  "port-taken": EXIT.environment,
  "api-key-missing": EXIT.environment,
  "wrong-state": EXIT.busy,
  "already-running": EXIT.busy,
  "not-ours": EXIT.busy,
  "lease-lost": EXIT.busy,
  "tickets-locked": EXIT.tickets,
  "tickets-readonly": EXIT.tickets,
  "tickets-corrupt": EXIT.tickets,
  "tickets-newer": EXIT.tickets,
  "tickets-full": EXIT.tickets,
  "tickets-foreign": EXIT.tickets,
  "tokens-failed": EXIT.environment,
  "subject-failed": EXIT.failed,
  "workload-failed": EXIT.failed,
  "fault-failed": EXIT.failed,
  "limit-exceeded": EXIT.failed,
  "store-failed": EXIT.failed,
  "operator-failed": EXIT.failed,
  "api-failed": EXIT.failed,
  timeout: EXIT.timeout,
  interrupted: EXIT.interrupted,
  internal: EXIT.internal,
};

export function exitCodeOf(code: ErrorCode): number {
  return BY_CODE[code];
}
