import type { Component, Invariant, Judgement } from "../protocol.ts";

/** What is known of one invariant at one component; `null` = the subject as a whole. Times are monotonic. */
export interface Track {
  readonly invariant: string;
  readonly component: Component | null;
  readonly state: Judgement["state"];
  readonly judgement: Judgement;
  /** Start of the violation that is going on; null when it held since. */
  readonly violatedSinceMs: number | null;
  readonly lastViolatedMs: number | null;
  /** Observations that showed it. */
  readonly violations: number;
  /** Start of an unbroken run of `held`; null otherwise. */
  readonly heldSinceMs: number | null;
  /** Grace has passed: a ticket is due. Stays so until it has held. */
  readonly due: boolean;
}

export type Tracks = ReadonlyMap<string, Track>;

export interface Judged {
  readonly invariant: Pick<Invariant, "name" | "graceMs">;
  readonly judgement: Judgement;
}

export function trackKey(invariant: string, component: Component | null): string {
  return component === null ? invariant : `${invariant}:${component}`;
}

/**
 * The next state of everything judged. Pure.
 *
 * - A ticket is due when a violation has lasted for its grace and was seen in two observations (one, if its grace is 0).
 * - `unknown` neither opens nor resolves: it lets a violation stand without counting as a sighting, and it breaks a run
 *   of `held`. A violation that was unknown for longer than its grace starts anew.
 * - What is no longer judged is forgotten unless a ticket is due for it: then it is unknown.
 *
 * `atMs` is when the observation was begun: what it shows was so from then on.
 */
export function advance(tracks: Tracks, judged: readonly Judged[], atMs: number): Tracks {
  const next = new Map<string, Track>();
  for (const { invariant, judgement } of judged) {
    const key = trackKey(invariant.name, judgement.component);
    next.set(key, step(tracks.get(key), invariant, judgement, atMs));
  }
  for (const [key, track] of tracks)
    if (!next.has(key) && track.due)
      next.set(key, {
        ...track,
        state: "unknown",
        judgement: { state: "unknown", component: track.component, why: "not judged any more" },
        heldSinceMs: null,
      });
  return next;
}

function step(
  before: Track | undefined,
  { name, graceMs }: Judged["invariant"],
  judgement: Judgement,
  atMs: number,
): Track {
  const { state, component } = judgement;
  const base = { invariant: name, component, state, judgement };
  const idle = { violatedSinceMs: null, lastViolatedMs: null, violations: 0, due: false };
  switch (state) {
    case "held":
      return { ...base, ...idle, heldSinceMs: before?.heldSinceMs ?? atMs };
    case "unknown":
      return before === undefined
        ? { ...base, ...idle, heldSinceMs: null }
        : { ...before, state, judgement, heldSinceMs: null };
    case "violated": {
      const known = before?.violatedSinceMs != null && before.lastViolatedMs !== null ? before : null;
      const lapsed = known !== null && before?.state === "unknown" && atMs - (known.lastViolatedMs ?? atMs) > graceMs;
      const ongoing = known !== null && (known.due || !lapsed) ? known : null;
      const violatedSinceMs = ongoing?.violatedSinceMs ?? atMs;
      const violations = (ongoing?.violations ?? 0) + 1;
      const due = (ongoing?.due ?? false) || (atMs - violatedSinceMs >= graceMs && (graceMs === 0 || violations > 1));
      return { ...base, violatedSinceMs, lastViolatedMs: atMs, violations, heldSinceMs: null, due };
    }
  }
}

/** How long until a violation that is going on now reaches its grace; null when none is waiting. */
export function nextDueInMs(tracks: Tracks, graceOf: (invariant: string) => number, nowMs: number): number | null {
  let soonest: number | null = null;
  for (const track of tracks.values()) {
    if (track.due || track.state !== "violated" || track.violatedSinceMs === null) continue;
    const left = Math.max(0, track.violatedSinceMs + graceOf(track.invariant) - nowMs);
    soonest = soonest === null ? left : Math.min(soonest, left);
  }
  return soonest;
}
