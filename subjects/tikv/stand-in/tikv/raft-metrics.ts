import { exponentialBuckets } from "../../../common/metrics/buckets.ts";
import type { Counter, Histogram, MetricRegistry } from "../../../common/metrics/registry.ts";
import type { MessageType } from "../../../common/raft/index.ts";

/** tikv/tikv:components/raftstore/src/store/metrics.rs, for nearly every duration. */
export const RAFT_BUCKETS = exponentialBuckets(0.000_01, 2, 26);
/** components/raftstore/src/coprocessor/metrics.rs */
const SIZE_BUCKETS = exponentialBuckets(2 ** 20, 2, 20);
const LAG_BUCKETS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 5120, 10_240];

const SENT_TYPES: Readonly<Partial<Record<MessageType, string>>> = {
  append: "append",
  "append-reply": "append_resp",
  "pre-vote": "prevote",
  "pre-vote-reply": "prevote_resp",
  vote: "vote",
  "vote-reply": "vote_resp",
  snapshot: "snapshot",
  heartbeat: "heartbeat",
  "heartbeat-reply": "heartbeat_resp",
  "timeout-now": "timeout_now",
};

const ADMIN_TYPES = {
  split: "batch-split",
  "prepare-merge": "prepare_merge",
  "commit-merge": "commit_merge",
  "rollback-merge": "rollback_merge",
  "conf-change": "conf_change",
} as const;

/** What happens between a request and its answer, as raftstore measures it. Durations are given in milliseconds. */
export class RaftMetrics {
  /** From the arrival of a request until it was proposed. */
  readonly requestWait: (ms: number) => void;
  /** One write of the log, with its fsync. */
  readonly appendLog: (ms: number) => void;
  /** From the proposal until a majority had it. */
  readonly commitLog: (ms: number) => void;
  /** From the commit until its application began. */
  readonly applyWait: (ms: number) => void;
  /** One round of applying. */
  readonly applyLog: (ms: number) => void;
  /** Entries that the slowest member of a led region has not got yet. */
  readonly logLag: (entries: number) => void;
  /** What a led region holds, in bytes, looked at once a minute. */
  readonly regionSize: (bytes: number) => void;
  /** One turn over all regions that have something to do. */
  readonly ready: (ms: number) => void;
  /** One tick over all regions. */
  readonly tick: (ms: number) => void;
  /** By what is proposed: normal, conf_change, transfer_leader, read_index. */
  readonly proposals: Counter;
  /** By type: disk_full, stale_msg, region_overlap ... */
  readonly dropped: Counter;
  readonly #admin: Counter;
  readonly #snapshots: Histogram;
  readonly #sent: Counter;
  readonly #sentTypes = new Map<string, (by?: number) => void>();

  constructor(registry: MetricRegistry) {
    const duration = (name: string, help: string): ((ms: number) => void) => {
      const observe = registry.histogram(name, help, RAFT_BUCKETS).bind({});
      return (ms) => observe(ms / 1000);
    };
    this.requestWait = duration(
      "tikv_raftstore_request_wait_time_duration_secs",
      "Bucketed histogram of request wait time duration.",
    );
    this.appendLog = duration(
      "tikv_raftstore_append_log_duration_seconds",
      "Bucketed histogram of peer appending log duration.",
    );
    this.commitLog = duration(
      "tikv_raftstore_commit_log_duration_seconds",
      "Bucketed histogram of peer commits logs duration.",
    );
    this.applyWait = duration(
      "tikv_raftstore_apply_wait_time_duration_secs",
      "Bucketed histogram of apply task wait time duration.",
    );
    this.applyLog = duration(
      "tikv_raftstore_apply_log_duration_seconds",
      "Bucketed histogram of peer applying log duration.",
    );
    this.logLag = registry
      .histogram("tikv_raftstore_log_lag", "Bucketed histogram of log lag in a region.", LAG_BUCKETS)
      .bind({});
    this.regionSize = registry
      .histogram("tikv_raftstore_region_size", "Bucketed histogram of approximate region size.", SIZE_BUCKETS)
      .bind({});
    const process = registry.histogram(
      "tikv_raftstore_raft_process_duration_secs",
      "Bucketed histogram of peer processing raft duration.",
      RAFT_BUCKETS,
    );
    const [ready, tick] = [process.bind({ type: "ready" }), process.bind({ type: "tick" })];
    this.ready = (ms) => ready(ms / 1000);
    this.tick = (ms) => tick(ms / 1000);
    this.proposals = registry.counter("tikv_raftstore_proposal_total", "Total number of proposal made.");
    this.#admin = registry.counter("tikv_raftstore_admin_cmd_total", "Total number of admin cmd processed.");
    this.#snapshots = registry.histogram(
      "tikv_raftstore_snapshot_duration_seconds",
      "Bucketed histogram of raftstore snapshot process duration",
      exponentialBuckets(0.0005, 2, 20),
    );
    this.dropped = registry.counter(
      "tikv_raftstore_raft_dropped_message_total",
      "Total number of raft dropped messages.",
    );
    this.#sent = registry.counter(
      "tikv_raftstore_raft_sent_message_total",
      "Total number of raft ready sent messages.",
    );
  }

  /** Something other than data was applied. */
  adminCommand(kind: keyof typeof ADMIN_TYPES): void {
    for (const status of ["all", "success"]) this.#admin.inc({ type: ADMIN_TYPES[kind], status });
  }

  /** A snapshot was made, or put in place. */
  snapshot(type: "generate" | "apply", ms: number): void {
    this.#snapshots.observe({ type }, ms / 1000);
  }

  /** A message was handed to the connection, or could not be. */
  sent(type: MessageType, accepted: boolean): void {
    const status = accepted ? "accept" : "drop";
    const key = `${type}/${status}`;
    const count = this.#sentTypes.get(key) ?? this.#sent.bind({ type: SENT_TYPES[type] ?? type, status });
    this.#sentTypes.set(key, count);
    count();
  }
}
