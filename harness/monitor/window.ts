import type { Invariant, Observation } from "../protocol.ts";

/** The newest observations, oldest first: as many as the invariant that looks back furthest needs. */
export class ObservationWindow<O extends Observation> {
  readonly #spanMs: number;
  #observations: readonly O[] = [];

  constructor(invariants: readonly Invariant<O>[]) {
    this.#spanMs = Math.max(0, ...invariants.map((invariant) => invariant.windowMs));
  }

  add(observation: O): void {
    const kept = this.#observations.filter((old) => old.monotonicMs >= observation.monotonicMs - this.#spanMs);
    this.#observations = [...kept, observation];
  }

  /** What an invariant with that window may see: never empty once something was added. */
  last(windowMs: number): readonly O[] {
    const newest = this.#observations.at(-1);
    if (newest === undefined) return [];
    return this.#observations.filter((o) => o === newest || o.monotonicMs >= newest.monotonicMs - windowMs);
  }
}
