import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "./defaults.ts";

export const pdLeaderKill: Scenario = {
  id: "tikv/pd-leader-kill",
  title: "The PD leader is killed",
  description:
    "SIGKILL of the PD member that leads. The others elect a new leader within seconds; meanwhile nobody answers for the cluster, and afterwards one more loss would cost the quorum.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: false,
  faults: [{ kind: "kill", target: "pd-leader", params: {}, atMs: 0 }],
  ticket: null,
  hypothesis: steadyState,
  accepts: [{ cause: "process-stopped", components: ["$victim"] }],
  mayTouch: ["$victim"],
  oracle: [
    { tool: "container_start", input: { component: "$victim", reason: "it was stopped; starting it is the repair" } },
  ],
  limits,
  workload,
};
