import { errorText } from "../base/errors.ts";
import type { Invariant, Observation } from "../protocol.ts";
import type { Judged } from "./track.ts";
import type { ObservationWindow } from "./window.ts";

/** All judgements over a window. An invariant that throws knows nothing: it must not take the others down with it. */
export function judgeAll<O extends Observation>(
  invariants: readonly Invariant<O>[],
  window: ObservationWindow<O>,
): readonly (Judged & { readonly invariant: Invariant<O> })[] {
  return invariants.flatMap((invariant) => {
    try {
      return invariant.judge(window.last(invariant.windowMs)).map((judgement) => ({ invariant, judgement }));
    } catch (error) {
      const why = `the invariant itself failed: ${errorText(error)}`;
      return [{ invariant, judgement: { state: "unknown" as const, component: null, why } }];
    }
  });
}
