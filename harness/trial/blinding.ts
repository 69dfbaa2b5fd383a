import type { TrialRecord } from "../store/record.ts";

/**
 * How much of the answer the operator's program could have reached by other ways than its tools. `full` needs a
 * container that reaches nothing but the subject and the model, which the control plane brings.
 */
export function blindingOf(runsIn: "child-process" | "container" | "in-process" | "none"): TrialRecord["blinding"] {
  switch (runsIn) {
    case "in-process":
      return { level: "none", why: "the operator runs inside the harness" };
    case "child-process":
      return { level: "partial", why: "no container" };
    case "container":
      return { level: "partial", why: "its container reaches the internet, for the model" };
    case "none":
      return { level: "full", why: "no operator took part" };
  }
}
