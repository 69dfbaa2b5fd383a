import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "./defaults.ts";

export const storeIsolated: Scenario = {
  id: "tikv/store-isolated",
  title: "A store that leads regions loses its network",
  description:
    "One TiKV that leads at least one region is taken off the network while its process goes on: it still believes that it leads.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: false,
  faults: [{ kind: "isolate", target: "leads-region", params: {}, atMs: 0 }],
  ticket: null,
  hypothesis: steadyState,
  accepts: [{ cause: "network-isolated", components: ["$victim"] }],
  mayTouch: ["$victim"],
  oracle: [
    {
      tool: "network_connect",
      input: { component: "$victim", reason: "it is on no network; connecting is the repair" },
    },
  ],
  limits,
  workload,
};
