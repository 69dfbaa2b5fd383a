import { buildTools } from "../../harness/agent/tools/index.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { ManualClock } from "./manual-clock.ts";
import { COMPONENTS, ScriptedCluster } from "./scripted-cluster.ts";

/** The agent's tools, its kit's among them, on a cluster that only answers. */
export function scriptedTools() {
  const clock = new ManualClock();
  const cluster = new ScriptedCluster(clock);
  const deps = { clock, fetch: cluster.fetch };
  const kit = tikvKit({ endpoints: cluster.endpoints, pdUrls: cluster.pdUrls }, deps);
  const prometheus = prometheusClient({ url: "http://prometheus:9090" }, deps);
  const sources = { engine: cluster.engine, kit, prometheus, clock, components: COMPONENTS };
  return buildTools({ ...sources, findings: { submitted: null } }, "execute");
}
