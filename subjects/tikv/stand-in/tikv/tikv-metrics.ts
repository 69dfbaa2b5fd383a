import type { EpochMs } from "../../../../harness/base/clock.ts";
import { addProcessMetrics } from "../../../common/metrics/process-metrics.ts";
import { MetricRegistry, type Counter, type Histogram } from "../../../common/metrics/registry.ts";
import type { Store } from "./store.ts";

/** Sizes in bytes of the disk that the data is on. */
export interface DiskSizes {
  readonly capacity: number;
  readonly available: number;
  readonly used: number;
}

/** What a TiKV counts (facts §4), under its names. */
export class TikvMetrics {
  readonly registry = new MetricRegistry();
  readonly grpcDuration: Histogram;
  readonly grpcFailures: Counter;
  readonly commands: Counter;
  readonly engineRequests: Counter;
  readonly engineDuration: Histogram;
  readonly linkFailures: Counter;
  readonly raftReceived: Counter;
  readonly pdRequests: Histogram;
  readonly pdHeartbeats: Counter;
  readonly appendLog: Histogram;

  constructor(startedAt: EpochMs, version: string, gitHash: string) {
    const { registry } = this;
    this.grpcDuration = registry.histogram(
      "tikv_grpc_msg_duration_seconds",
      "Bucketed histogram of grpc server messages",
    );
    this.grpcFailures = registry.counter("tikv_grpc_msg_fail_total", "Total number of handle grpc message failure");
    this.commands = registry.counter("tikv_storage_command_total", "Total number of commands received.");
    this.engineRequests = registry.counter(
      "tikv_storage_engine_async_request_total",
      "Total number of engine asynchronous requests",
    );
    this.engineDuration = registry.histogram(
      "tikv_storage_engine_async_request_duration_seconds",
      "Bucketed histogram of processing successful asynchronous requests.",
    );
    this.linkFailures = registry.counter(
      "tikv_server_report_failure_msg_total",
      "Total number of reporting failure messages",
    );
    this.raftReceived = registry.counter(
      "tikv_server_raft_message_recv_total",
      "Total number of raft messages received",
    );
    this.pdRequests = registry.histogram(
      "tikv_pd_request_duration_seconds",
      "Bucketed histogram of PD requests duration",
    );
    this.pdHeartbeats = registry.counter("tikv_pd_heartbeat_message_total", "Total number of PD heartbeat messages.");
    this.appendLog = registry.histogram(
      "tikv_raftstore_append_log_duration_seconds",
      "Bucketed histogram of peer appending log duration",
    );
    const info = registry.gauge(
      "tikv_server_info",
      "Indicate the tikv server info, and the value is the server startup timestamp.",
    );
    info.set({ version, hash: gitHash }, startedAt / 1000);
    addProcessMetrics(registry, startedAt);
  }

  /** Gauges that are read from the store whenever somebody scrapes. */
  watch(store: Store, disk: () => DiskSizes): void {
    const regions = this.registry.gauge(
      "tikv_raftstore_region_count",
      "Number of regions collected in region_collector",
    );
    const missing = this.registry.gauge("tikv_raftstore_leader_missing", "Total number of leader missed region.");
    const sizes = this.registry.gauge("tikv_store_size_bytes", "Size of storage.");
    const engine = this.registry.gauge("tikv_engine_size_bytes", "Sizes of each column families.");
    const memory = this.registry.gauge("tikv_server_memory_usage", "Memory usage.");
    this.registry.collect(() => {
      const peers = [...store.peers];
      const bytes = peers.reduce((sum, peer) => sum + peer.approximateBytes, 0);
      regions.set({ type: "region" }, peers.length);
      regions.set({ type: "leader" }, peers.filter((peer) => peer.isLeader).length);
      missing.set({}, peers.filter((peer) => peer.node.roleState.leader === 0).length);
      const { capacity, available, used } = disk();
      const all = { capacity, available, used, kv_size: bytes, raft_size: used, snap_size: 0 };
      for (const [type, value] of Object.entries(all)) sizes.set({ type }, value);
      engine.set({ db: "kv", type: "default" }, bytes);
      engine.set({ db: "raft", type: "default" }, used);
      memory.set({}, process.memoryUsage().rss);
    });
  }
}
