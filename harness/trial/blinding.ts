import type { TrialRecord } from "../store/record.ts";
import type { OperatorPlace } from "./operator-run.ts";

/**
 * How much of the answer the operator's program could have reached by other ways than its tools. `full` needs a
 * container that reaches nothing but the subject and the model: compose mode on Docker.
 */
export function blindingOf(runsIn: OperatorPlace | "none"): TrialRecord["blinding"] {
  switch (runsIn) {
    case "in-process":
      return { level: "none", why: "the operator runs inside the harness" };
    case "child-process":
      return { level: "partial", why: "no container" };
    case "terminal":
      return { level: "none", why: "whoever works at the terminal may know what was started" };
    case "outside":
      return { level: "none", why: "a client of somebody's, which may reach anything that its user can" };
    case "container":
      return { level: "partial", why: "its container reaches the internet, for the model" };
    case "guarded-container":
      return {
        level: "full",
        why: "its container has no engine socket and reaches nothing but the cluster, the control plane and the model's API",
      };
    case "none":
      return { level: "full", why: "no operator took part" };
  }
}
