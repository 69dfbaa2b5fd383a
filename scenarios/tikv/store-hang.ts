import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "./defaults.ts";

export const storeHang: Scenario = {
  id: "tikv/store-hang",
  title: "A store that leads regions freezes",
  description:
    "Every process of one TiKV that leads at least one region is frozen. Its sockets stay open, so peers and clients run into time-outs instead of resets.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: false,
  faults: [{ kind: "hang", target: "leads-region", params: {}, atMs: 0 }],
  ticket: null,
  hypothesis: steadyState,
  accepts: [{ cause: "process-frozen", components: ["$victim"] }],
  mayTouch: ["$victim"],
  oracle: [
    { tool: "container_unpause", input: { component: "$victim", reason: "it is suspended; resuming is the repair" } },
  ],
  limits,
  workload,
};
