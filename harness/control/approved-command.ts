import { z } from "zod";
import { digestOf, type Approvals, type UseOutcome } from "../../tickets/index.ts";
import { commandSpec, type ApprovalProof, type CommandName, type Fence } from "./contract.ts";

/** The command that carries a tool call out, by the tool's name; tools that are not here need none. */
const COMMAND_OF_TOOL: Readonly<Record<string, CommandName>> = {
  container_start: "start",
  container_stop: "stop",
  container_restart: "restart",
  container_kill: "kill",
  container_pause: "pause",
  container_unpause: "unpause",
  container_update: "update",
  container_recreate: "recreate",
  container_exec: "exec",
  network_connect: "connect",
  network_disconnect: "disconnect",
};

const seconds = z.number().transform((value) => value * 1_000);
const durations = z.looseObject({ grace_seconds: seconds.optional(), timeout_seconds: seconds.optional() });

/**
 * What a proposed tool call asks of the control server: worked out by the server itself from what the person was
 * shown, never taken from whoever asks. Null = nothing.
 */
export function commandOfCall(tool: string, input: unknown): { name: CommandName; params: object } | null {
  const name = Object.hasOwn(COMMAND_OF_TOOL, tool) ? COMMAND_OF_TOOL[tool] : undefined;
  const read = durations.safeParse(input);
  if (name === undefined || !read.success) return null;
  const { reason: _, grace_seconds: grace_ms, timeout_seconds: timeout_ms, ...rest } = read.data;
  return {
    name,
    params: {
      ...rest,
      ...(grace_ms === undefined ? {} : { grace_ms }),
      ...(timeout_ms === undefined ? {} : { timeout_ms }),
    },
  };
}

/**
 * For a write on the agent's plane in mode `propose`: a person has approved exactly this command for this claim, the
 * agent has begun it, and it has not been carried out yet. Good once.
 */
export async function spendApproval(
  approvals: Approvals,
  asked: { readonly proof: ApprovalProof; readonly fence: Fence; readonly name: string; readonly params: object },
): Promise<UseOutcome> {
  const { proof, fence, name, params } = asked;
  const { incident: batchKey, holder, attempt } = fence;
  return await approvals.execute(proof.id, { batchKey, holder, attempt }, ({ tool, input, callDigest }) => {
    if (proof.digest !== undefined && proof.digest !== callDigest) return false;
    const expected = commandOfCall(tool, input);
    return expected?.name === name && sameParams(expected.name, expected.params, params);
  });
}

function sameParams(name: CommandName, shown: object, asked: object): boolean {
  const { params } = commandSpec(name);
  const a = params.safeParse(shown);
  const b = params.safeParse(asked);
  return a.success && b.success && comparable(a.data) === comparable(b.data);
}

/** How much output comes back is not what a person decides about. */
function comparable(params: unknown): string {
  const { max_bytes: _, ...rest } = params as Readonly<Record<string, unknown>>;
  return digestOf(rest);
}
