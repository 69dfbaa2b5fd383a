import type { Clock } from "../../base/clock.ts";
import type { Engine, OperatorKit, SafetyMode, Tool } from "../../protocol.ts";
import { containerExec, containerRecreate, containerUpdate } from "./container-change.ts";
import {
  containerKill,
  containerPause,
  containerRestart,
  containerStart,
  containerStop,
  containerUnpause,
} from "./container-power.ts";
import { containerInspect, containerList, containerLogs, containerStats } from "./container-read.ts";
import { hypothesis, submitDiagnosis, type Findings } from "./findings.ts";
import { networkConnect, networkDisconnect } from "./network.ts";
import {
  prometheusAlerts,
  prometheusLabels,
  prometheusQuery,
  prometheusQueryRange,
  prometheusTargets,
  type PrometheusApi,
} from "./prometheus.ts";
import { shell, type ShellRunner } from "./shell.ts";
import { wait } from "./wait.ts";

export type { Findings } from "./findings.ts";
export type { PrometheusApi } from "./prometheus.ts";

export interface ToolSources {
  readonly engine: Engine;
  readonly kit: OperatorKit;
  /** Null = no Prometheus is configured; its tools are not offered. */
  readonly prometheus: PrometheusApi | null;
  readonly clock: Clock;
  /** Roles that a diagnosis may name, e.g. `tikv1`. */
  readonly components: readonly string[];
  readonly findings: Findings;
  /** Where a shell can be kept apart from everything else, i.e. in the container of compose mode; else it is not offered. */
  readonly shell?: ShellRunner | null;
}

/**
 * Everything an operator can do. In observe mode tools that can only write are not even offered; of the others the
 * caller refuses the calls that write.
 */
export function buildTools(sources: ToolSources, mode: SafetyMode): readonly Tool[] {
  const { engine, kit, clock, findings, prometheus } = sources;
  const words = { causes: kit.causes, components: sources.components };
  const measuring =
    prometheus === null
      ? []
      : [
          prometheusQuery(prometheus, clock),
          prometheusQueryRange(prometheus, clock),
          prometheusLabels(prometheus),
          prometheusTargets(prometheus),
          prometheusAlerts(prometheus),
        ];
  const looking = [
    ...measuring,
    ...kit.tools,
    containerList(engine),
    containerInspect(engine),
    containerLogs(engine, clock),
    containerStats(engine),
    containerExec(engine),
    ...(sources.shell == null ? [] : [shell(sources.shell)]),
    wait(clock),
    hypothesis(words),
    submitDiagnosis(words, findings),
  ];
  const acting = [
    containerStart(engine),
    containerStop(engine),
    containerRestart(engine),
    containerKill(engine),
    containerPause(engine),
    containerUnpause(engine),
    containerUpdate(engine),
    containerRecreate(engine),
    networkConnect(engine),
    networkDisconnect(engine),
  ];
  return mode === "observe" ? looking : [...looking, ...acting];
}
