import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { held, newest, unknown, violated, whyMissing } from "./judging.ts";

/** PD has a leader. An election takes 11 to 13 s (facts §10) and is no violation yet. */
export function pdLeader(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "pd_leader",
    description: "PD has a leader that its members agree on",
    graceMs: 15_000 * timeFactor,
    clearMs: 5_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { pd } = newest(window).sources;
      if (pd?.ok !== true) return pd === undefined ? [] : [unknown(null, whyMissing(pd, "PD") ?? "")];
      if (pd.value.leader !== null) return [held(null)];
      return [violated(null, "critical", "PD has no leader", {})];
    },
  };
}
