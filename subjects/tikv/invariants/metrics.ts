import type { Component, Invariant, Judgement } from "../../../harness/protocol.ts";
import type { MetricsView, TikvObservation } from "../observation.ts";
import { newest, unknown } from "./judging.ts";

interface MetricsRule {
  readonly name: string;
  readonly description: string;
  readonly graceMs: number;
  readonly clearMs: number;
  judge(metrics: MetricsView): readonly Judgement[];
}

/** An invariant over what Prometheus knows: not judged where there is no Prometheus, unknown where it is silent. */
export function overMetrics(rule: MetricsRule, timeFactor: number): Invariant<TikvObservation> {
  return {
    name: rule.name,
    description: rule.description,
    graceMs: rule.graceMs * timeFactor,
    clearMs: rule.clearMs * timeFactor,
    windowMs: 0,
    judge(window) {
      const { prometheus } = newest(window).sources;
      if (prometheus === undefined) return [];
      return prometheus.ok ? rule.judge(prometheus.value) : [unknown(null, prometheus.why)];
    },
  };
}

export function entries<T>(record: Readonly<Record<string, T>>): readonly (readonly [Component, T])[] {
  return Object.entries(record) as [Component, T][];
}
