import type { Component, Invariant, Judgement } from "../../../harness/protocol.ts";
import type { PdMemberView, TikvObservation } from "../observation.ts";
import { etcdState } from "./etcd-state.ts";
import { held, newest, unknown, violated } from "./judging.ts";

/** Every PD member answers, and none is cut off from a majority that is well. */
export function pdMemberUp(timeFactor: number): Invariant<TikvObservation> {
  return {
    name: "pd_member_up",
    description: "every PD member answers and is in contact with the others",
    graceMs: 1_000 * timeFactor,
    clearMs: 5_000 * timeFactor,
    windowMs: 0,
    judge(window) {
      const { pdMembers } = newest(window).sources;
      if (pdMembers?.ok !== true) return [];
      const members = Object.entries(pdMembers.value) as [Component, PdMemberView][];
      const well = members.filter(([, view]) => etcdState(view) === "healthy").length;
      return members.map(([member, view]) => judgeMember(member, view, well * 2 > members.length));
    },
  };
}

function judgeMember(member: Component, view: PdMemberView, majorityIsWell: boolean): Judgement {
  const reason = view.etcd.ok ? view.etcd.value.reason : null;
  switch (etcdState(view)) {
    case "silent":
      return violated(member, "critical", `${member} does not answer`, { why: view.why });
    case "healthy":
      return held(member);
    case "unhealthy":
      // Without a majority elsewhere this says something about the cluster, which has an invariant of its own.
      return majorityIsWell
        ? violated(member, "warning", `${member} answers but has lost the other members (${reason})`, { reason })
        : unknown(member, `${member} has no majority to be in contact with (${reason})`);
    case "undetermined":
      return unknown(member, view.etcd.ok ? `passing state: ${reason}` : view.etcd.why);
  }
}
