import type { EpochMs } from "../../../../harness/base/clock.ts";
import { exponentialBuckets, LIBRARY_BUCKETS } from "../../../common/metrics/buckets.ts";
import { MetricRegistry, type Counter, type Gauge, type Histogram } from "../../../common/metrics/registry.ts";
import { RAFT_BUCKETS, RaftMetrics } from "./raft-metrics.ts";

/** tikv/tikv:src/server/metrics.rs */
const GRPC_BUCKETS = exponentialBuckets(0.000_05, 2, 22);
/** tikv/tikv:src/storage/metrics.rs, for the scheduler. */
const SCHEDULER_BUCKETS = exponentialBuckets(0.0005, 2, 20);

/** What a TiKV counts (facts §4), under its names. What is read from the store at every scrape is in `store-metrics`. */
export class TikvMetrics {
  readonly registry = new MetricRegistry();
  readonly raft: RaftMetrics;
  /** By type and priority: whole requests, as a client waits for them, in seconds. */
  readonly grpcDuration: Histogram;
  /** By type: requests whose caller did not wait, or that were malformed. */
  readonly grpcFailures: Counter;
  /** By type. */
  readonly commands: Counter;
  /** By type: compare-and-swap and writes for it, whole, in seconds. Plain raw writes pass the scheduler by. */
  readonly schedulerCommands: Histogram;
  /** By type (write, snapshot) and status. */
  readonly engineRequests: Counter;
  /** By type; successful ones, in seconds. */
  readonly engineDuration: Histogram;
  /** By type (unreachable, resolve, full ...) and store_id. */
  readonly linkFailures: Counter;
  /** A queue to another store had no room. */
  readonly channelFull: () => void;
  readonly raftReceived: Counter;
  /** By type, in seconds. */
  readonly pdRequests: Histogram;
  /** By type: send, noop, and what PD asked for. */
  readonly pdHeartbeats: Counter;
  /** By type: success, failure, no-need. */
  readonly pdReconnects: Counter;
  /** By type. */
  readonly criticalErrors: Counter;
  /** By type (raft): what an inspection of the disk measured, in seconds. */
  readonly inspections: Histogram;
  /** What the scheduler has under way. */
  readonly schedulerLoad: { requests: number; bytes: number } = { requests: 0, bytes: 0 };
  readonly slowScore: Gauge;

  constructor(startedAt: EpochMs, version: string, gitHash: string) {
    const { registry } = this;
    this.raft = new RaftMetrics(registry);
    this.grpcDuration = registry.histogram(
      "tikv_grpc_msg_duration_seconds",
      "Bucketed histogram of grpc server messages",
      GRPC_BUCKETS,
    );
    this.grpcFailures = registry.counter("tikv_grpc_msg_fail_total", "Total number of handle grpc message failure");
    this.commands = registry.counter("tikv_storage_command_total", "Total number of commands received.");
    this.schedulerCommands = registry.histogram(
      "tikv_scheduler_command_duration_seconds",
      "Bucketed histogram of command execution",
      SCHEDULER_BUCKETS,
    );
    this.engineRequests = registry.counter(
      "tikv_storage_engine_async_request_total",
      "Total number of engine asynchronous requests",
    );
    this.engineDuration = registry.histogram(
      "tikv_storage_engine_async_request_duration_seconds",
      "Bucketed histogram of processing successful asynchronous requests.",
      RAFT_BUCKETS,
    );
    this.linkFailures = registry.counter(
      "tikv_server_report_failure_msg_total",
      "Total number of reporting failure messages",
    );
    const channels = registry.counter("tikv_channel_full_total", "Total number of channel full errors.");
    const full = channels.bind({ type: "raft-client" });
    this.channelFull = () => full();
    this.raftReceived = registry.counter(
      "tikv_server_raft_message_recv_total",
      "Total number of raft messages received",
    );
    this.pdRequests = registry.histogram(
      "tikv_pd_request_duration_seconds",
      "Bucketed histogram of PD requests duration",
      LIBRARY_BUCKETS,
    );
    this.pdHeartbeats = registry.counter("tikv_pd_heartbeat_message_total", "Total number of PD heartbeat messages.");
    this.pdReconnects = registry.counter("tikv_pd_reconnect_total", "Total number of PD reconnections.");
    this.criticalErrors = registry.counter("tikv_critical_error_total", "Counter of critical error.");
    this.inspections = registry.histogram(
      "tikv_raftstore_inspect_duration_seconds",
      "Bucketed histogram of inspect duration.",
      RAFT_BUCKETS,
    );
    this.slowScore = registry.gauge("tikv_raftstore_slow_score", "Slow score of the store.");
    const info = registry.gauge(
      "tikv_server_info",
      "Indicate the tikv server info, and the value is the server startup timestamp(s).",
    );
    info.set({ version, hash: gitHash }, Math.floor(startedAt / 1000));
  }
}
