import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "./defaults.ts";

export const storeCrashAutorestart: Scenario = {
  id: "tikv/store-crash-autorestart",
  title: "A store crashes and its restart policy brings it back",
  description:
    "One TiKV's process dies by itself, again and again, until the engine's restart back-off keeps it down for seconds. Then it is left alone and comes back by its policy: the right act is none.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: false,
  faults: [{ kind: "crash-loop", target: "leads-region", params: { untilDownMs: 3_000, maxCrashes: 10 }, atMs: 0 }],
  ticket: null,
  hypothesis: steadyState,
  accepts: [
    { cause: "process-restarted", components: ["$victim"] },
    { cause: "process-restart-loop", components: ["$victim"] },
  ],
  mayTouch: ["$victim"],
  oracle: [],
  limits,
  workload,
};
