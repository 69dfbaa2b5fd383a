import { GONE_AFTER_BEATS, BEAT_EVERY_MS, type PartStatus, type Registration } from "../control/registration.ts";
import type { AssertionClaims } from "../control/assertion.ts";
import type { Clock, EpochMs } from "../base/clock.ts";

const MAX_PARTS = 50;
/** What is gone stays on the page this long. */
const FORGET_MS = 24 * 60 * 60_000;

/** A program of the deployment as it last told of itself. */
export interface KnownPart {
  readonly agentId: string;
  readonly deploymentHash: string;
  readonly part: Registration["part"];
  readonly version: string;
  readonly composeAgent: boolean;
  readonly controlPlane: string;
  readonly features: readonly string[];
  /** It holds the panel's own token, so it may take the panel's commands. */
  readonly holder: boolean;
  readonly status: PartStatus;
  readonly registeredAt: EpochMs;
  readonly heardAt: EpochMs;
  readonly silentMs: number;
  /** Not heard of for `GONE_AFTER_BEATS` beats. */
  readonly gone: boolean;
}

/** Who has registered. In memory: after a restart of the panel everybody registers again within a beat. */
export interface Parts {
  register(claims: AssertionClaims, registration: Registration): void;
  /** @returns false for one that has not registered, or as somebody else. */
  beat(claims: AssertionClaims, agentId: string, status: PartStatus): boolean;
  list(): readonly KnownPart[];
}

export function openParts(clock: Clock): Parts {
  type Kept = Omit<KnownPart, "silentMs" | "gone"> & { readonly heardMs: number };
  const kept = new Map<string, Kept>();
  // By what it is and its name: an agent that takes another part's name does not take its place.
  const keyOf = (part: string, agentId: string): string => `${part}/${agentId}`;
  return {
    register: (
      claims,
      { agent_id, deployment_hash, part, version, compose_agent, control_plane, features, status },
    ) => {
      const key = keyOf(part, agent_id);
      kept.delete(key);
      const oldest = kept.keys().next().value;
      if (kept.size >= MAX_PARTS && oldest !== undefined) kept.delete(oldest);
      kept.set(key, {
        agentId: agent_id,
        deploymentHash: deployment_hash,
        part,
        version,
        composeAgent: compose_agent,
        controlPlane: control_plane,
        features,
        holder: claims.holder,
        status,
        registeredAt: clock.now(),
        heardAt: clock.now(),
        heardMs: clock.monotonic(),
      });
    },
    beat: (claims, agentId, status) => {
      const key = keyOf(claims.part, agentId);
      const one = kept.get(key);
      if (one === undefined || one.agentId !== claims.agentId) return false;
      kept.set(key, { ...one, status, heardAt: clock.now(), heardMs: clock.monotonic(), holder: claims.holder });
      return true;
    },
    list: () => {
      const now = clock.monotonic();
      for (const [id, { heardMs }] of kept) if (now - heardMs > FORGET_MS) kept.delete(id);
      return [...kept.values()].map(({ heardMs, ...one }) => {
        const silentMs = now - heardMs;
        return { ...one, silentMs, gone: silentMs > BEAT_EVERY_MS * GONE_AFTER_BEATS };
      });
    },
  };
}
