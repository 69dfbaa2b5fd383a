import type { Histogram, Labels, MetricRegistry } from "../../../common/metrics/registry.ts";

/** Doubling from `first`, as Go's `prometheus.ExponentialBuckets(first, 2, count)`. */
const doubling = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => Number((first * 2 ** at).toPrecision(12)));

/** What is measured where it happens. Times in seconds. */
export interface ObservedMetrics {
  readonly fsync: Histogram;
  readonly commit: Histogram;
  readonly roundTrip: Histogram;
  readonly grpc: Histogram;
  readonly http: Histogram;
  readonly storeHeartbeat: Histogram;
  readonly regionHeartbeat: Histogram;
  /** `status`: recv, ok, bind. */
  regionHeard(labels: Labels): void;
  tsoEvent(type: "save" | "sync_ok" | "not_leader"): void;
  proposalsFailed(count: number): void;
}

/** Names and buckets as in `metrics-leader.txt` of the recordings. */
export function observedMetrics(registry: MetricRegistry): ObservedMetrics {
  const heard = registry.counter("pd_scheduler_region_heartbeat", "Counter of region heartbeat.");
  const tso = registry.counter("pd_tso_events", "Counter of tso events");
  for (const type of TSO_EVENTS) tso.bind({ dc: "global", group: "0", type });
  const failed = registry.counter("etcd_server_proposals_failed_total", "The total number of failed proposals seen.");
  const fail = failed.bind({});
  return {
    fsync: registry.histogram(
      "etcd_disk_wal_fsync_duration_seconds",
      "The latency distributions of fsync called by WAL.",
      doubling(0.001, 14),
    ),
    commit: registry.histogram(
      "etcd_disk_backend_commit_duration_seconds",
      "The latency distributions of commit called by backend.",
      doubling(0.001, 14),
    ),
    roundTrip: registry.histogram(
      "etcd_network_peer_round_trip_time_seconds",
      "Round-Trip-Time histogram between peers",
      doubling(0.0001, 16),
    ),
    grpc: registry.histogram(
      "grpc_server_handling_seconds",
      "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    ),
    http: registry.histogram("pd_service_audit_handling_seconds", "PD server service handling performance metrics"),
    storeHeartbeat: registry.histogram(
      "pd_scheduler_handle_store_heartbeat_duration_seconds",
      "Bucketed histogram of processing time (s) of handled store heartbeat requests.",
      doubling(0.0001, 29),
    ),
    regionHeartbeat: registry.histogram(
      "pd_scheduler_handle_region_heartbeat_duration_seconds",
      "Bucketed histogram of processing time (s) of handled region heartbeat requests.",
      doubling(0.0001, 29),
    ),
    regionHeard: (labels) => heard.inc({ ...labels, type: "report" }),
    tsoEvent: (type) => tso.inc({ dc: "global", group: "0", type }),
    proposalsFailed: (count) => fail(count),
  };
}

const TSO_EVENTS = [
  "err_save_sync_ts",
  "err_save_update_ts",
  "logical_overflow",
  "not_leader",
  "save",
  "skip_save",
  "slow_save",
  "sync",
  "sync_ok",
  "system_time_slow",
] as const;
