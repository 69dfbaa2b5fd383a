import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "./defaults.ts";

export const storeKill: Scenario = {
  id: "tikv/store-kill",
  title: "A store that leads regions is killed",
  description:
    "SIGKILL of one TiKV that leads at least one region. Its regions elect new leaders; one failure of three is used up until somebody starts it again.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: false,
  faults: [{ kind: "kill", target: "leads-region", params: {}, atMs: 0 }],
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
