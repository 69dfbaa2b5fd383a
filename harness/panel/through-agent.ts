import { z } from "zod";
import { HarnessError, type ErrorCode } from "../base/errors.ts";
import type { EpochMs } from "../base/clock.ts";
import { commandSpec, isCommand, type CommandReport } from "../control/contract.ts";
import { signOrder, type Order } from "../control/legacy/order.ts";
import type { TokenRecord } from "../control/tokens/index.ts";
import type { Deps } from "../protocol.ts";
import type { ControlPort } from "./control-port.ts";
import type { Desk } from "./desk.ts";

/** How long a question waits for its answer; a reader gives up before. */
const ASK_MS = 20_000;
/** An order is not begun later than this after it was given: whoever gave it looks at something else by then. */
const BEGIN_WITHIN_MS = 30_000;
/** On top of a command's own time: the way there and back, and a new start of the agent. */
const ON_TOP_MS = 30_000;

export interface ThroughAgentOptions {
  readonly desk: Desk;
  /** Of `status_panel`. */
  token(): TokenRecord | null;
  readonly deploymentHash: string;
}

/** What `execute` may be told here beside what the control API takes. */
export interface LateReport {
  /** Called when it is heard after all what came of a command, after `execute` had to give up. */
  late?(report: CommandReport): void;
}

export interface ThroughAgent extends ControlPort {
  execute(
    name: string,
    params: object,
    options: Parameters<ControlPort["execute"]>[2] & LateReport,
    signal: AbortSignal,
  ): Promise<CommandReport>;
}

/**
 * The control API of an agent in legacy mode, which serves none: it fetches what is asked from our desk, and answers
 * from its own ticket file. Each order is sealed for this agent.
 */
export function throughAgent(
  agentId: string,
  { desk, token, deploymentHash }: ThroughAgentOptions,
  { clock, ids }: Pick<Deps, "clock" | "ids">,
): ThroughAgent {
  const sealed = (order: Pick<Order, "id" | "kind" | "name" | "params" | "by">): string => {
    const record = token();
    if (record === null) throw new HarnessError("not-found", "there is no token of status_panel to sign with");
    const beginBy = (clock.now() + BEGIN_WITHIN_MS) as EpochMs;
    return signOrder({ ...order, to: agentId, deploymentHash, beginBy }, record.token);
  };
  const ask = async (method: "GET" | "POST", target: string, body: object | null, signal: AbortSignal) => {
    const id = ids.hex(8);
    const params = { target, ...(body === null ? {} : { body }) };
    const order = sealed({ id, kind: "ask", name: method, params, by: "" });
    const command = { command_id: id, name: method, params, order };
    const { status, result, error, error_code: code } = await desk.run(agentId, command, { timeoutMs: ASK_MS }, signal);
    if (status === "success") return result?.data ?? null;
    throw new HarnessError(codeOf(code), error ?? "the agent could not answer that");
  };
  return {
    get: (target, signal) => ask("GET", target, null, signal),
    post: (target, body, signal) => ask("POST", target, body, signal),
    health: (signal) => ask("GET", "/health", null, signal),
    capabilities: (signal) => ask("GET", "/capabilities", null, signal),
    metrics: async (signal) => z.string().parse(await ask("GET", "/metrics", null, signal)),
    execute: async (name, given, { idempotencyKey, reason = "", late }, signal) => {
      const id = idempotencyKey ?? ids.hex(8);
      const params = { ...given } as Readonly<Record<string, unknown>>;
      const order = sealed({ id, kind: "command", name, params, by: reason });
      const ownMs = isCommand(name) ? commandSpec(name).timeoutMs(given as never) : 0;
      const options = { timeoutMs: ownMs + ON_TOP_MS, ...(late === undefined ? {} : { late }) };
      return await desk.run(agentId, { command_id: id, name, params, order }, options, signal);
    },
  };
}

/** Codes that somebody here branches on; what else an agent says is its words. */
function codeOf(code: string | null): ErrorCode {
  return code === "not-found" || code === "wrong-state" || code === "not-supported" ? code : "engine-failed";
}
