import { HarnessError } from "../base/errors.ts";
import { commandReport, type CommandReport } from "../control/contract.ts";
import type { Deps } from "../protocol.ts";
import type { ControlPort } from "./control-port.ts";

const EVERY_MS = 2_000;
const WITHIN_MS = 10 * 60_000;
/** A request that was on its way when it was first asked for has arrived by then. */
const SURE_AFTER = 2;

/**
 * Asks what came of a command whose answer was lost, until somebody says so. @returns null when nobody did in time.
 * Never throws.
 */
export async function settleLater(
  commandId: string,
  control: Pick<ControlPort, "get">,
  { clock }: Pick<Deps, "clock">,
  signal: AbortSignal,
): Promise<CommandReport | null> {
  const until = clock.monotonic() + WITHIN_MS;
  let unknownTo = 0;
  while (clock.monotonic() < until) {
    await clock.sleep(EVERY_MS, signal).catch(() => {});
    if (signal.aborted) return null;
    try {
      const report = commandReport.parse(await control.get(`/api/v1/commands/${commandId}`, signal));
      if (report.status !== "running" && report.status !== "queued") return report;
    } catch (error) {
      if (!(error instanceof HarnessError && error.code === "not-found")) continue;
      unknownTo += 1;
      if (unknownTo >= SURE_AFTER) return never(commandId);
    }
  }
  return null;
}

function never(commandId: string): CommandReport {
  return {
    command_id: commandId,
    status: "failed",
    result: null,
    error: "it never arrived, and was not executed",
    error_code: "not-found",
    completed_at: null,
    executed_by: null,
  };
}
