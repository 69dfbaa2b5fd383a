import type { TrialRecord } from "../store/record.ts";
import type { OperatorPlace } from "./operator-run.ts";

/**
 * How much of the answer the operator's program could have reached by other ways than its tools. `full` needs a
 * container that reaches nothing but the subject and the model, which the control plane brings.
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
    case "none":
      return { level: "full", why: "no operator took part" };
  }
}
