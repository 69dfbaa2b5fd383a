import type { Scenario } from "../../harness/protocol.ts";
import { limits, steadyState, workload } from "../tikv/defaults.ts";

export const quiet: Scenario = {
  id: "control/quiet",
  title: "Nothing happens",
  description: "A healthy cluster under load, watched for a while: measures the monitor. Any ticket fails it.",
  subject: "tikv",
  engines: ["docker", "process"],
  control: true,
  faults: [],
  ticket: null,
  hypothesis: steadyState,
  accepts: [],
  mayTouch: [],
  oracle: [],
  limits: { ...limits, ticketMs: 20_000 },
  workload,
};
