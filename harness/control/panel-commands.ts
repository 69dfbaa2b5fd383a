import { withDeadline } from "../base/deadline.ts";
import { errorText, HarnessError } from "../base/errors.ts";
import { isoTime } from "../base/clock.ts";
import type { Deps } from "../protocol.ts";
import type { ControlClient, DeliveredCommand } from "./client/types.ts";
import { commandSpec, isCommand, type CommandName, type ReportRequest } from "./contract.ts";
import { DEFAULT_SCOPES } from "./planes.ts";
import { perform, type PerformContext } from "./server/perform.ts";

const WAIT_MS = 25_000;
const MAX_PAUSE_MS = 30_000;

/** What a program that holds the engine itself can do for the panel. */
export function panelCommands(withTickets: boolean): readonly CommandName[] {
  return (["start", "restart", "stop", "pause", "unpause", "ticket_hold", "ticket_unhold"] as const).filter(
    (name) => withTickets || !name.startsWith("ticket_"),
  );
}

/**
 * Legacy mode: fetches people's commands at the panel, carries them out with the engine that this program holds, and
 * reports. Until the signal aborts; a panel that is down or slow costs nothing but the next attempt. Never throws.
 */
export async function servePanelCommands(
  { client, context }: { readonly client: Pick<ControlClient, "wait" | "report">; readonly context: PerformContext },
  deps: Pick<Deps, "clock" | "log" | "random">,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, random } = deps;
  for (let failures = 0; !signal.aborted;) {
    try {
      const command = await client.wait(WAIT_MS, signal);
      failures = 0;
      if (command !== null) await client.report(await carriedOut(command, context, deps, signal), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) log.warn("panel.no-commands", { why: errorText(error) });
      failures++;
      const pauseMs = Math.min(MAX_PAUSE_MS, 1_000 * 2 ** Math.min(failures, 5)) * (1 + random.next() / 10);
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
  }
}

async function carriedOut(
  command: DeliveredCommand,
  context: PerformContext,
  { clock, log }: Pick<Deps, "clock" | "log">,
  signal: AbortSignal,
): Promise<ReportRequest> {
  const { name, params, command_id } = command;
  const began = clock.monotonic();
  log.info("panel.command-begun", { command: name, id: command_id, params });
  const end = (report: Pick<ReportRequest, "status" | "error" | "error_code" | "result">): ReportRequest => {
    log.info("panel.command-ended", { command: name, id: command_id, status: report.status, why: report.error });
    return { command_id, completed_at: isoTime(clock.now()), executed_by: "status_panel", ...report };
  };
  try {
    const { run, timeoutMs, target } = checked(name, params, context);
    const { data, stdout, exitCode } = await withDeadline(clock, { ms: timeoutMs, what: name, signal }, run);
    const durationSecs = (clock.monotonic() - began) / 1_000;
    const result = {
      operation: name,
      container: target,
      duration_secs: durationSecs,
      exit_code: exitCode ?? 0,
      stdout: stdout ?? "",
      data,
    };
    return end({ status: "success", result });
  } catch (error) {
    const code = error instanceof HarnessError ? error.code : "internal";
    // Cut off in its middle: nobody can say whether it took.
    const status = code === "timeout" || code === "interrupted" ? "unknown" : "failed";
    return end({ status, error: errorText(error), error_code: code });
  }
}

/** @throws HarnessError `not-supported` for what people may not do from the panel. */
function checked(name: string, params: unknown, context: PerformContext) {
  if (!isCommand(name)) throw new HarnessError("not-supported", `there is no command ${name}`);
  const spec = commandSpec(name);
  const parsed = spec.params.parse(params);
  if (!DEFAULT_SCOPES.status_panel.includes(spec.scope(parsed)))
    throw new HarnessError("not-supported", `people may not ${name} from the panel`);
  return {
    run: (signal: AbortSignal) => perform(name, parsed, context, signal),
    timeoutMs: spec.timeoutMs(parsed),
    target: (parsed as { readonly component?: string }).component ?? null,
  };
}
