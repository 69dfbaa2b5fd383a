import { HarnessError } from "../../base/errors.ts";
import type { Effect, InstanceId, SafetyMode } from "../../protocol.ts";
import { LeaseLostError, type Tickets } from "../../../tickets/index.ts";
import type { CommandName, CommandRequest } from "../contract.ts";
import type { Plane } from "../planes.ts";
import { isCommandOfTool } from "../tool-command.ts";
import { AuditError } from "../audit/errors.ts";
import { ApiError } from "./api-error.ts";

export interface PermitOptions {
  readonly tickets: Tickets | null;
  readonly mode: SafetyMode;
  readonly instance: InstanceId;
}

/** One command as it is about to be carried out. */
export interface Asked {
  readonly plane: Plane;
  readonly name: CommandName;
  readonly params: unknown;
  readonly effect: Effect;
  readonly request: Pick<CommandRequest, "fence" | "approval">;
  readonly approvalSpent?: boolean;
}

/** @throws ApiError 403 for a write of the agent where it may only look. People's writes are theirs. */
export function checkMode({ mode }: PermitOptions, { plane, effect }: Pick<Asked, "plane" | "effect">): void {
  if (plane === "compose_agent" && effect !== "read" && mode === "observe")
    throw new ApiError("observe-mode", `not allowed in observe mode: this command is ${effect}, only reading is`);
}

/**
 * Just before the act: is the agent still who works on an incident of this instance, and, in mode `propose`, did a
 * person say yes to exactly this? A holder that slept does not know that it lost its lease.
 *
 * @throws ApiError 409 `lease-lost`, 403 `approval-required`, `approval-invalid`.
 */
export async function checkClaim(options: PermitOptions, asked: Asked): Promise<void> {
  const { tickets, mode } = options;
  const { plane, name, params, effect, request } = asked;
  if (plane !== "compose_agent" || effect === "read") return;
  checkMode(options, asked);
  if (tickets === null) {
    if (mode === "propose") throw new ApiError("approval-required", "there is no ticket file, hence nobody to ask");
    return;
  }
  const { fence, approval } = request;
  if (fence === undefined || fence === null)
    throw new ApiError("lease-lost", `a ${effect} command names the incident, holder and attempt that it is for`);
  const claim = { batchKey: fence.incident, holder: fence.holder, attempt: fence.attempt };
  await assertOurs(tickets, claim, options.instance);
  if (mode !== "propose" || asked.approvalSpent === true) return;
  if (approval === undefined || approval === null)
    throw new ApiError("approval-required", "a person has to approve this command first");
  const used = await tickets.approvals.execute(
    approval.id,
    claim,
    (row) =>
      (approval.digest === undefined || approval.digest === row.callDigest) && isCommandOfTool(name, params, row),
  );
  if (!used.ok) throw new ApiError("approval-invalid", `approval ${approval.id}: ${used.why}`);
}

async function assertOurs(
  tickets: Tickets,
  claim: { readonly batchKey: string; readonly holder: string; readonly attempt: number },
  instance: InstanceId,
): Promise<void> {
  try {
    await tickets.assertHeld(claim);
  } catch (error) {
    if (error instanceof LeaseLostError) throw new ApiError("lease-lost", error.message);
    throw error;
  }
  const [ticket] = await tickets.list({ batchKey: claim.batchKey, limit: 1 });
  if (ticket !== undefined && ticket.instance !== null && ticket.instance !== instance)
    throw new ApiError("lease-lost", "that incident is of another cluster");
}

/**
 * Which refusal a failure of the harness is; null = none, it is a defect. @param plane of who is told: people read what
 * went wrong, everybody else one word of it.
 */
export function refusalOf(error: unknown, plane: Plane | null): ApiError | null {
  if (error instanceof ApiError) return error;
  if (!(error instanceof HarnessError)) return null;
  const { code, message } = error;
  if (code === "not-found" || code === "wrong-state") return new ApiError(code, message);
  if (error instanceof AuditError)
    return new ApiError("audit-failed", "the audit cannot be written: nothing is done until it can");
  return new ApiError("unavailable", plane === "status_panel" ? message : `what this needs does not work: ${code}`);
}
