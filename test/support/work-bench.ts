import { silentLog } from "../../harness/base/log.ts";
import type {
  Component,
  EpochMs,
  Incident,
  InstanceId,
  Operator,
  OperatorLimits,
  OperatorResult,
  SafetyMode,
} from "../../harness/protocol.ts";
import { defaultLimits } from "../../harness/agent/limits.ts";
import { maskerOf, type TranscriptEntry } from "../../harness/agent/transcript.ts";
import { workIncident, type WorkOptions } from "../../harness/agent/work.ts";
import { tikvKit } from "../../subjects/tikv/kit/index.ts";
import { prometheusClient } from "../../subjects/tikv/kit/clients/prometheus.ts";
import { ManualClock } from "./manual-clock.ts";
import { COMPONENTS, ScriptedCluster } from "./scripted-cluster.ts";

export function incidentOn(component: string | null, message = "does not answer"): Incident {
  return {
    batchKey: "b1",
    instance: "ab12" as InstanceId,
    holder: "me",
    attempt: 1,
    tickets: [
      {
        id: 1,
        invariant: "store_up",
        component: component as Component | null,
        severity: "critical",
        message: `${component ?? "the cluster"} ${message}`,
        firstSeenAt: 1_760_000_000_000 as EpochMs,
        snapshot: { answers: false },
        context: null,
      },
    ],
  };
}

export interface Worked {
  readonly result: OperatorResult;
  readonly entries: readonly TranscriptEntry[];
  /** Names of the tools that were called, in order. */
  readonly calls: readonly string[];
  /** Calls that change something and were carried out. */
  readonly writes: readonly string[];
}

/** One operator at work on a scripted cluster; time passes whenever it waits. */
export class WorkBench {
  readonly clock = new ManualClock();
  readonly cluster = new ScriptedCluster(this.clock);
  readonly entries: TranscriptEntry[] = [];
  readonly signal = new AbortController();

  options(operator: Operator, change: Partial<WorkOptions> = {}): WorkOptions {
    const deps = { clock: this.clock, fetch: this.cluster.fetch };
    return {
      incident: incidentOn("tikv1"),
      operator,
      engine: this.cluster.engine,
      kit: tikvKit({ endpoints: this.cluster.endpoints, pdUrls: this.cluster.pdUrls }, deps),
      prometheus: prometheusClient({ url: "http://prometheus:9090" }, deps),
      components: COMPONENTS,
      mode: "execute" as SafetyMode,
      limits: defaultLimits as OperatorLimits,
      sink: async (entry) => void this.entries.push(entry),
      mask: maskerOf([]),
      checkLease: () => {},
      ...change,
    };
  }

  /** @throws whatever `workIncident` throws. */
  async work(operator: Operator, change: Partial<WorkOptions> = {}): Promise<Worked> {
    const options = this.options(operator, change);
    let done = false;
    const working = workIncident(options, { clock: this.clock, log: silentLog }, this.signal.signal).finally(() => {
      done = true;
    });
    working.catch(() => {});
    while (!done) await this.clock.advance(250);
    const result = await working;
    return { result, entries: this.entries, calls: this.calls(), writes: this.writes() };
  }

  calls(): readonly string[] {
    return this.entries.flatMap(({ type, tool }) => (type === "tool_call" && tool !== null ? [tool] : []));
  }

  writes(): readonly string[] {
    return this.entries.flatMap(({ type, tool, effect, params }) =>
      type === "tool_call" && effect !== null && effect !== "read"
        ? [`${tool} ${(params as { component?: string }).component ?? ""}`]
        : [],
    );
  }
}
