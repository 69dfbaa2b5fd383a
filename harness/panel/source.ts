import { withDeadline } from "../base/deadline.ts";
import { errorText } from "../base/errors.ts";
import type { Deps } from "../protocol.ts";
import type { ControlPort } from "./control-port.ts";
import type { KnownPart, Parts } from "./parts.ts";

/** The compose-agent is asked first each time; one that does not answer must not cost the reader its whole time. */
const DIRECT_MS = 3_000;

/** Where what people see comes from: the compose-agent where it answers; else an agent in legacy mode. */
export interface Source extends Pick<ControlPort, "get" | "post" | "health" | "capabilities" | "metrics"> {
  /** The agent that answers in the compose-agent's place; null = the compose-agent does, or nobody. */
  readonly agentId: string | null;
  /** Why the compose-agent did not answer last; null = it did, or was not asked yet. */
  readonly why: string | null;
}

export function openSource(
  {
    control,
    registered,
    agent,
  }: { readonly control: ControlPort; readonly registered: Parts; agent(agentId: string): ControlPort },
  { clock }: Pick<Deps, "clock">,
): Source {
  let [agentId, why]: [string | null, string | null] = [null, null];
  let turn = new AbortController();
  const answersNow = (next: string | null, reason: string | null): void => {
    why = reason;
    if (next === agentId) return;
    agentId = next;
    turn.abort(new Error("somebody else answers now"));
    turn = new AbortController();
  };
  /** Whoever answered when it was last asked how it is. */
  const now = (): ControlPort => (agentId === null ? control : agent(agentId));
  /** A question that waits for who has just been given up is put to the other one. */
  const asked = async <T>(signal: AbortSignal, ask: (port: ControlPort, inner: AbortSignal) => Promise<T>) => {
    for (;;) {
      const { signal: over } = turn;
      try {
        return await ask(now(), AbortSignal.any([signal, over]));
      } catch (error) {
        signal.throwIfAborted();
        if (!over.aborted) throw error;
      }
    }
  };
  return {
    get agentId() {
      return agentId;
    },
    get why() {
      return why;
    },
    health: async (signal) => {
      try {
        const limit = { ms: DIRECT_MS, what: "the compose-agent", signal };
        const health = await withDeadline(clock, limit, (inner) => control.health(inner));
        answersNow(null, null);
        return health;
      } catch (error) {
        signal.throwIfAborted();
        const legacy = legacyAgent(registered.list())?.agentId ?? null;
        answersNow(legacy, errorText(error));
        if (legacy === null) throw error;
        return await agent(legacy).health(signal);
      }
    },
    get: (target, signal) => asked(signal, (port, inner) => port.get(target, inner)),
    post: (target, body, signal) => now().post(target, body, signal),
    capabilities: (signal) => asked(signal, (port, inner) => port.capabilities(inner)),
    metrics: (signal) => asked(signal, (port, inner) => port.metrics(inner)),
  };
}

/** One that holds the engine itself, is there, and answers for its ticket file. */
export function legacyAgent(parts: readonly KnownPart[]): KnownPart | undefined {
  return parts.find(
    ({ part, composeAgent, holder, gone, features }) =>
      part === "agent" && !composeAgent && holder && !gone && features.includes("tickets"),
  );
}
