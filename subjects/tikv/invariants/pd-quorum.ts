import type { Invariant } from "../../../harness/protocol.ts";
import type { TikvObservation } from "../observation.ts";
import { etcdState } from "./etcd-state.ts";
import { held, newest, unknown, violated } from "./judging.ts";

/**
 * PD can lose another member and go on. PD's own /health cannot tell (it answers 200 without quorum); each member's
 * etcd can.
 */
export function pdQuorum(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "pd_quorum",
    description: "enough PD members are well for PD to lose one more and go on",
    graceMs: 5_000 * timeFactor,
    clearMs: 10_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { pdMembers } = newest(window).sources;
      if (pdMembers?.ok !== true) return [];
      const states = Object.values(pdMembers.value).map(etcdState);
      const all = states.length;
      const lost = states.filter((state) => state === "silent" || state === "unhealthy").length;
      const majority = Math.floor(all / 2) + 1;
      const evidence = Object.fromEntries(Object.keys(pdMembers.value).map((member, i) => [member, states[i]]));
      const left = `${all - lost} of ${all} PD members are well`;
      if (all - lost < majority) return [violated(null, "critical", `PD has no majority: ${left}`, evidence)];
      if (lost > 0 && all - lost - 1 < majority)
        return [violated(null, "warning", `PD stops if it loses one more member: ${left}`, evidence)];
      return [states.includes("undetermined") ? unknown(null, "a member's health is not known") : held(null)];
    },
  };
}
