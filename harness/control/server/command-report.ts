import { isoTime } from "../../base/clock.ts";
import { EngineError, errorText, HarnessError } from "../../base/errors.ts";
import type { Clock, Effect } from "../../protocol.ts";
import type { CommandName, CommandReport, CommandStatus } from "../contract.ts";
import type { Performed } from "./perform.ts";

/** What one command is called in its answer. */
export interface Reported {
  readonly commandId: string;
  readonly name: CommandName;
  readonly params: unknown;
  readonly executedBy: string;
  readonly clock: Pick<Clock, "now">;
}

export function targetOf(params: unknown): string | null {
  const { component, ticket } = params as { readonly component?: string; readonly ticket?: number };
  return component ?? (ticket === undefined ? null : `ticket ${ticket}`);
}

export function succeeded(what: Reported, performed: Performed, durationMs: number): CommandReport {
  return report(what, { status: "success", error: null, code: null }, performed, durationMs);
}

/**
 * What a failure says about the act. A write whose engine went away or did not answer in time may have been done: that
 * is `unknown`. A program that was run too long has been ended, which is known.
 */
export function failed(
  what: Reported,
  error: unknown,
  effect: Effect,
  durationMs: number,
  told = errorText(error),
): CommandReport {
  const code = error instanceof HarnessError ? error.code : "internal";
  const lost = code === "engine-unreachable" || code === "interrupted" || code === "internal";
  const late = code === "timeout" && !(error instanceof EngineError && what.name === "exec");
  const status = effect !== "read" && (lost || late) ? "unknown" : "failed";
  return report(what, { status, error: told, code }, null, durationMs);
}

/** For the agent: what is wrong with the engine or with us names paths of this machine, and is in the log. */
export function plainText(error: unknown): string {
  const code = error instanceof HarnessError ? error.code : "internal";
  if (code === "engine-unreachable" || code === "engine-permission") return "the engine does not answer";
  return OURS.has(code) ? `the server failed (${code}); its log says why` : errorText(error);
}

const OURS: ReadonlySet<string> = new Set([
  "internal",
  "store-failed",
  "tickets-locked",
  "tickets-readonly",
  "tickets-corrupt",
  "tickets-full",
]);

export function notKnown(what: Reported, why: string): CommandReport {
  return report(what, { status: "unknown", error: why, code: "engine-failed" }, null, 0);
}

export function notBegun(what: Reported, why: string, code: string): CommandReport {
  return report(what, { status: "failed", error: why, code }, null, 0);
}

function report(
  { commandId, name, params, executedBy, clock }: Reported,
  how: { readonly status: CommandStatus; readonly error: string | null; readonly code: string | null },
  performed: Performed | null,
  durationMs: number,
): CommandReport {
  return {
    command_id: commandId,
    status: how.status,
    result: {
      operation: name,
      container: (params as { readonly component?: string }).component ?? null,
      duration_secs: Math.round(durationMs) / 1_000,
      exit_code: performed?.exitCode ?? (how.status === "success" ? 0 : 1),
      stdout: performed?.stdout ?? "",
      ...(performed?.stderr === undefined ? {} : { stderr: performed.stderr }),
      data: performed?.data ?? null,
    },
    error: how.error,
    error_code: how.code,
    completed_at: isoTime(clock.now()),
    executed_by: executedBy,
  };
}
