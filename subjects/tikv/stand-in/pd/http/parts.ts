import type { Random } from "../../../../../harness/base/random.ts";
import type { LinkRules } from "../../../../common/link/link-rules.ts";
import type { MetricRegistry } from "../../../../common/metrics/registry.ts";
import type { NodeLog } from "../../node-log.ts";
import type { Cluster } from "../cluster.ts";
import type { Consensus } from "../consensus.ts";
import type { PdFlags } from "../flags.ts";
import type { Leadership } from "../leadership.ts";
import type { ObservedMetrics } from "../metrics-observed.ts";
import type { QuorumReads } from "../quorum-reads.ts";
import type { Coordinator } from "../schedule/coordinator.ts";
import type { MemberMeta } from "../state.ts";

/** What HTTP handlers work with. */
export interface HttpParts {
  readonly flags: PdFlags;
  readonly self: MemberMeta;
  readonly startedAtMs: number;
  readonly cluster: Cluster;
  readonly consensus: Consensus;
  readonly leadership: Leadership;
  readonly coordinator: Coordinator;
  readonly reads: QuorumReads;
  readonly random: Random;
  readonly rules: LinkRules;
  readonly metrics: MetricRegistry;
  readonly observed: ObservedMetrics;
  readonly log: NodeLog;
}
