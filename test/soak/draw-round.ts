import type { Random } from "../../harness/base/random.ts";
import type { Component, FaultSpec } from "../../harness/protocol.ts";

/** Whom a round harms, as a predicate that the subject resolves when the round begins. */
export interface Victim {
  readonly predicate: "leads-region" | "any-store" | "pd-leader" | "pd-follower";
  readonly kind: "kill" | "hang" | "isolate" | "crash-loop";
}

/** One or two harms at a time, what lies between them, and how long they last. */
export interface Round {
  readonly number: number;
  readonly victims: readonly Victim[];
  /** From the first harm to healing, milliseconds at time factor 1. */
  readonly holdMs: number;
  /** From the first harm to the second. */
  readonly apartMs: number;
  /** From all being well again to the next round. */
  readonly calmMs: number;
}

const KINDS = ["kill", "hang", "isolate", "crash-loop"] as const;
/** Every fourth round harms a store and a member of PD at once: either three keeps its majority. */
const SHARE_OF_TWO = 0.25;
const SHARE_OF_PD = 0.35;

/** The same seed draws the same rounds. */
export function drawRound(number: number, random: Random): Round {
  const own = random.fork(`round/${number}`);
  const store = (): Victim => ({
    predicate: own.next() < 0.7 ? "leads-region" : "any-store",
    // The first rounds go through all kinds, so that a short run has seen each.
    kind: KINDS[number - 1] ?? own.pick(KINDS),
  });
  const member = (): Victim => ({
    predicate: own.next() < 0.7 ? "pd-leader" : "pd-follower",
    kind: own.pick(KINDS),
  });
  const two = number > KINDS.length && own.next() < SHARE_OF_TWO;
  const ofPd = number > KINDS.length && own.next() < SHARE_OF_PD;
  return {
    number,
    victims: two ? [store(), member()] : [ofPd ? member() : store()],
    holdMs: 5_000 + own.int(25_000),
    apartMs: own.int(5_000),
    calmMs: 2_000 + own.int(8_000),
  };
}

/** The harm itself, once the victim has a name. */
export function specOf({ kind }: Victim, target: Component, timeFactor: number): FaultSpec {
  // A restart policy begins anew after 10 s of running, whatever the factor: short enough to be reached in a round.
  const params: Record<string, number> =
    kind === "crash-loop" ? { untilDownMs: Math.max(400, 2_000 * timeFactor) } : {};
  return { kind, target, params };
}

/** Whose process may be ended while memory is watched: the others must live long for that to say anything. */
const MAY_END: readonly string[] = ["tikv2", "pd2"];

/** The same victim, harmed by something that its process outlives, unless it is one of those that may end. */
export function livesOn(victim: Victim, target: Component): Victim {
  if (MAY_END.includes(target)) return victim;
  const instead = { kill: "hang", "crash-loop": "isolate", hang: "hang", isolate: "isolate" } as const;
  return { ...victim, kind: instead[victim.kind] };
}
