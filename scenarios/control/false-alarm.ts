import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "../tikv/defaults.ts";

export const falseAlarm: Scenario = {
  id: "control/false-alarm",
  title: "A ticket about a store that is well",
  description:
    "Nothing is broken. A ticket says that a store does not answer; an operator that looks sees that it does, says so and changes nothing. Any write fails it.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: true,
  faults: [],
  ticket: {
    invariant: "store_up",
    target: "leads-region",
    severity: "critical",
    message: "$target does not answer",
    atMs: 0,
  },
  hypothesis: steadyState,
  accepts: [{ cause: "none", components: [] }],
  mayTouch: [],
  oracle: [],
  limits,
  workload,
};
