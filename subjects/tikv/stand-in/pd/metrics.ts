import { availableParallelism, totalmem } from "node:os";
import type { EpochMs } from "../../../../harness/base/clock.ts";
import { addProcessMetrics } from "../../../common/metrics/process-metrics.ts";
import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { Cluster } from "./cluster.ts";
import type { Consensus } from "./consensus.ts";
import { PD_VERSION } from "./http/render.ts";
import type { Leadership } from "./leadership.ts";
import { addConfigMetrics } from "./metrics-config.ts";
import { addEtcdMetrics } from "./metrics-etcd.ts";
import { addStoreMetrics } from "./metrics-stores.ts";
import type { Coordinator } from "./schedule/coordinator.ts";

export interface MetricParts {
  readonly cluster: Cluster;
  readonly consensus: Consensus;
  readonly leadership: Leadership;
  readonly coordinator: Coordinator;
}

/** PD moves the physical part of its timestamps on this often (`tso-update-physical-interval`). */
const TSO_STEP_MS = 50;

/** PD's and etcd's metrics. Only the leader fills what is about cluster, stores and regions. */
export function addPdMetrics(registry: MetricRegistry, parts: MetricParts, startedAt: EpochMs): void {
  addProcessMetrics(registry, startedAt);
  const info = registry.gauge(
    "pd_server_info",
    "Indicate the pd server info, and the value is the start timestamp (s).",
  );
  info.set({ version: PD_VERSION, hash: "None" }, startedAt / 1_000);
  addMachine(registry);
  addEtcdMetrics(registry, parts);
  addMembers(registry, parts);
  addStoreMetrics(registry, parts);
  addConfigMetrics(registry, parts);
}

function addMachine(registry: MetricRegistry): void {
  registry.gauge("pd_service_maxprocs", "The value of GOMAXPROCS.").set({}, availableParallelism());
  registry.gauge("pd_service_memory_quota_bytes", "The value of memory quota bytes.").set({}, totalmem());
  const busy = registry.gauge("go_goroutines", "Number of goroutines that currently exist.");
  registry.collect(() => busy.set({}, process.getActiveResourcesInfo().length));
}

function addMembers(registry: MetricRegistry, { cluster, consensus, leadership, coordinator }: MetricParts): void {
  const role = registry.gauge("service_member_role", "The leader/primary of the service.");
  const health = registry.gauge("pd_cluster_health_status", "Status of the cluster.");
  const scheduler = registry.gauge("pd_scheduler_status", "Inner status of the scheduler.");
  const allowance = registry.gauge("pd_scheduling_allowance_status", "Status of the scheduling allowance.");
  const tsoGap = registry.gauge("pd_cluster_tso_gap_millionseconds", "The minimal (non-zero) TSO gap for each DC.");
  let hasLed = false;
  registry.collect(() => {
    hasLed ||= leadership.serving;
    // A member that never led has no such series (tikv/pd:server/server.go, campaignLeader).
    if (hasLed) role.set({ service: "PD" }, leadership.serving ? 1 : 0);
    for (const gauge of [health, scheduler, tsoGap]) gauge.clear();
    allowance.set({ kind: "halt-scheduling" }, coordinator.halted ? 1 : 0);
    allowance.set({ kind: "online-unsafe-recovery" }, cluster.recovery.isRunning ? 1 : 0);
    tsoGap.set({ dc: "global", group: "group" }, leadership.serving ? TSO_STEP_MS : 0);
    if (!leadership.serving) return;
    const alive = consensus.connectedPeers();
    for (const { name } of cluster.state.members)
      health.set({ name }, alive.includes(name) || name === cluster.state.leader ? 1 : 0);
    const names = [...cluster.state.schedulers, ...cluster.state.storeSchedulers.map((each) => each.name)];
    for (const kind of names)
      scheduler.set({ kind, type: "allow" }, coordinator.halted || coordinator.isPaused(kind) ? 0 : 1);
  });
}
