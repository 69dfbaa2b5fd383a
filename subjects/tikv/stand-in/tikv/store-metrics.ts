import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { EpochMs } from "../../../../harness/base/clock.ts";
import { addProcessMetrics } from "../../../common/metrics/process-metrics.ts";
import type { DiskSizes } from "./disk-usage.ts";
import { memoryLimitBytes } from "./machine.ts";
import type { RaftTransport } from "./raft-transport.ts";
import type { Store } from "./store.ts";
import { addThreadMetrics } from "./thread-metrics.ts";
import type { TikvMetrics } from "./tikv-metrics.ts";

/** What the gauges are read from. */
export interface StoreGauges {
  readonly store: Store;
  readonly transport: Pick<RaftTransport, "waiting">;
  /** Heartbeats of regions that are due and not sent yet. */
  pendingHeartbeats(): number;
  disk(): DiskSizes & { readonly raftBytes: number };
}

/** Gauges that are read whenever somebody scrapes. */
export function watchStore({ registry, schedulerLoad }: TikvMetrics, from: StoreGauges, startedAt: EpochMs): void {
  const gauge = (name: string, help: string) => registry.gauge(name, help);
  const regions = gauge("tikv_raftstore_region_count", "Number of regions collected in region_collector");
  const missing = gauge("tikv_raftstore_leader_missing", "Total number of leader missed region.");
  const hibernated = gauge("tikv_raftstore_hibernated_peer_state", "Number of peers in hibernated state.");
  const sizes = gauge("tikv_store_size_bytes", "Size of storage.");
  const engine = gauge("tikv_engine_size_bytes", "Sizes of each column families.");
  const memory = gauge("tikv_server_memory_usage", "Memory usage for the instance");
  const quota = gauge("tikv_server_memory_quota_bytes", "Total memory quota for TiKV server");
  const cores = gauge("tikv_server_cpu_cores_quota", "Total CPU cores quota for TiKV server");
  const contexts = gauge("tikv_scheduler_contex_total", "Total number of pending commands.");
  const writing = gauge("tikv_scheduler_writing_bytes", "Total number of writing kv.");
  const throttled = gauge("tikv_scheduler_throttle_flow", "The throttled flow at scheduler level.");
  const io = registry.total("tikv_io_bytes", "Bytes of disk tikv io");
  const heartbeats = gauge("tikv_pd_pending_heartbeat_total", "Total number of pending region heartbeat");
  const tasks = gauge("tikv_worker_pending_task_total", "Current worker pending + running tasks.");
  registry.collect(() => {
    const peers = [...from.store.peers];
    const bytes = peers.reduce((sum, peer) => sum + peer.approximateBytes, 0);
    regions.set({ type: "region" }, peers.length);
    regions.set({ type: "leader" }, peers.filter((peer) => peer.isLeader).length);
    missing.set({}, peers.filter((peer) => peer.node.roleState.leader === 0).length);
    // Nothing sleeps here: every peer ticks.
    hibernated.set({ state: "awaken" }, peers.length);
    hibernated.set({ state: "hibernated" }, 0);
    const { capacity, available, used, raftBytes } = from.disk();
    const all = { capacity, available, used, kv_size: bytes, raft_size: raftBytes, snap_size: 0 };
    for (const [type, value] of Object.entries(all)) sizes.set({ type }, value);
    engine.set({ db: "kv", type: "default" }, bytes);
    engine.set({ db: "raft", type: "default" }, raftBytes);
    memory.set({}, process.memoryUsage.rss());
    quota.set({}, memoryLimitBytes());
    cores.set({}, availableParallelism());
    contexts.set({}, schedulerLoad.requests);
    writing.set({}, schedulerLoad.bytes);
    // There is no flow control here: nothing is ever slowed down.
    throttled.set({}, 0);
    for (const [op, value] of Object.entries(diskTraffic())) io.set({ type: "other", op }, value);
    heartbeats.set({}, from.pendingHeartbeats());
    tasks.set({ name: "pd-worker" }, from.pendingHeartbeats());
    tasks.set({ name: "raft-client" }, from.transport.waiting);
  });
  addProcessMetrics(registry, startedAt);
  addThreadMetrics(registry);
}

/** Bytes that this process had read from and written to disks; nothing where the system does not say (proc(5)). */
function diskTraffic(): { readonly read?: number; readonly write?: number } {
  try {
    const text = readFileSync("/proc/self/io", "latin1");
    const at = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(text)?.[1] ?? "0");
    return { read: at("read_bytes"), write: at("write_bytes") };
  } catch {
    return {};
  }
}
