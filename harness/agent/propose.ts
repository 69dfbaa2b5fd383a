import { EngineError, errorText } from "../base/errors.ts";
import type { Component, ContainerState, Effect, Engine, Incident } from "../protocol.ts";
import { callDigest, type Approval, type Approvals } from "../../tickets/index.ts";

/** One call that an operator may not make alone. */
export interface ProposedCall {
  readonly tool: string;
  /** As the tool parsed it. */
  readonly input: unknown;
  readonly effect: Exclude<Effect, "read">;
}

/** A person's answer; `id` names the approval to whoever carries the call out. */
export type Permission = { readonly ok: true; readonly id: string } | { readonly ok: false; readonly why: string };

export interface PeopleAsked {
  /** Resolves when a person has answered, or none did in time. @throws the signal's reason. */
  permission(
    call: ProposedCall,
    asked: (approval: Approval) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Permission>;
  /** The approval of the write that is being carried out now; null while there is none. */
  current(): string | null;
  /** Runs an approved act; while it runs, `current` names its approval. */
  carryOut<T>(id: string, act: () => Promise<T>): Promise<T>;
}

export interface AskPeopleOptions {
  readonly approvals: Approvals;
  readonly engine: Engine;
  readonly incident: Incident;
  readonly sessionId: string;
  readonly operator: string;
  /** How long a proposal waits for an answer. */
  readonly timeoutMs: number;
}

/**
 * Asks people about each write. What they approve is exactly this call, of this attempt at this incident, in the state
 * that the component was in when it was proposed: if that has changed by the time of the answer, the answer is worth
 * nothing and the operator is told to look again.
 */
export function askPeople(options: AskPeopleOptions): PeopleAsked {
  const { approvals, engine, incident, sessionId, operator, timeoutMs } = options;
  const { batchKey, holder, attempt, instance } = incident;
  const claim = { batchKey, holder, attempt };
  let current: string | null = null;
  return {
    async permission(call, asked, signal) {
      const state = await stateOf(call.input, engine, signal);
      const proposal = { ...call, claim, instance, sessionId, operator, state, timeoutMs };
      const { id, ...rest } = await approvals.request(proposal);
      await asked({ id, ...rest });
      const answer = await approvals.wait(id, signal);
      if (answer.status !== "approved") return { ok: false, why: refusalOf(answer, timeoutMs) };
      const used = await approvals.use(id, {
        claim,
        callDigest: callDigest(call.tool, call.input),
        state: await stateOf(call.input, engine, signal),
      });
      return used.ok
        ? { ok: true, id }
        : { ok: false, why: `not done: ${used.why}; look again, and propose it again if it is still right` };
    },
    current: () => current,
    async carryOut(id, act) {
      current = id;
      try {
        return await act();
      } finally {
        current = null;
      }
    },
  };
}

function refusalOf({ status, decidedBy, reason }: Approval, timeoutMs: number): string {
  switch (status) {
    case "rejected":
      return `not done: a person (${decidedBy ?? "unknown"}) rejected it${reason === null ? "" : `: ${reason}`}`;
    case "expired":
      return `not done: nobody approved it within ${Math.round(timeoutMs / 1_000)} s`;
    default:
      return `not done: the proposal is ${status}`;
  }
}

/** What a call's sense depends on: the component that it names, or all of them where it names none. */
async function stateOf(input: unknown, engine: Engine, signal: AbortSignal): Promise<unknown> {
  const named = (input as { readonly component?: unknown } | null)?.component;
  if (typeof named !== "string") return (await engine.list(signal)).map(compact);
  try {
    return compact(await engine.inspect(named as Component, signal));
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-found")
      return { component: named, missing: errorText(error) };
    throw error;
  }
}

/**
 * What a person decides on. A container that its restart policy starts over and over changes its start time and status
 * by itself: there only the cycle counts, or nothing about it could ever be approved. Health flaps likewise and is left
 * out.
 */
function compact(state: ContainerState): Readonly<Record<string, unknown>> {
  const { component, image, networks, limits, restartPolicy, status, startedAt, exitCode, oomKilled } = state;
  const cycling = state.restartCount > 0 && status !== "paused";
  return {
    component,
    ...(cycling ? { status: "restarting again and again" } : { status, startedAt, exitCode, oomKilled }),
    image,
    networks: networks.toSorted(),
    limits,
    restartPolicy,
  };
}
