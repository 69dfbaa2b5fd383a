/**
 * Items that `POST /config` may change while the store runs (pingcap/docs:dynamic-config.md, "Modify TiKV
 * configuration dynamically"). The others answer "config ... can not be changed".
 */
export const ONLINE: ReadonlySet<string> = new Set(
  Object.entries({
    log: "level",
    quota:
      "foreground-cpu-time foreground-write-bandwidth foreground-read-bandwidth max-delay-duration background-cpu-time background-write-bandwidth background-read-bandwidth enable-auto-tune",
    "readpool.unified": "min-thread-count max-thread-count max-tasks-per-worker auto-adjust-pool-size",
    server:
      "grpc-memory-pool-quota max-grpc-send-msg-len raft-msg-max-batch-size snap-io-max-bytes-per-sec concurrent-send-snap-limit concurrent-recv-snap-limit simplify-metrics",
    storage: "scheduler-worker-pool-size",
    "storage.block-cache": "capacity",
    "storage.flow-control":
      "enable memtables-threshold l0-files-threshold soft-pending-compaction-bytes-limit hard-pending-compaction-bytes-limit",
    "storage.io-rate-limit": "max-bytes-per-sec",
    raftstore:
      "raft-max-inflight-msgs raft-log-gc-tick-interval raft-log-gc-threshold raft-log-gc-count-limit raft-log-gc-size-limit raft-max-size-per-msg raft-entry-max-size raft-entry-cache-life-time split-region-check-tick-interval region-split-check-diff region-compact-check-interval region-compact-check-step region-compact-min-tombstones region-compact-tombstones-percent region-compact-min-redundant-rows region-compact-redundant-rows-percent pd-heartbeat-tick-interval pd-store-heartbeat-tick-interval snap-mgr-gc-tick-interval snap-gc-timeout lock-cf-compact-interval lock-cf-compact-bytes-threshold messages-per-tick max-peer-down-duration max-leader-missing-duration abnormal-leader-missing-duration peer-stale-state-check-interval consistency-check-interval raft-store-max-leader-lease merge-check-tick-interval cleanup-import-sst-interval hibernate-regions apply-max-batch-size apply-pool-size store-max-batch-size store-pool-size store-io-pool-size inspect-interval inspect-kvdb-interval disk-hang-timeout",
    coprocessor:
      "split-region-on-table batch-split-limit region-max-size region-split-size region-max-keys region-split-keys enable-region-bucket region-bucket-size",
    "pessimistic-txn": "wait-for-lock-timeout wake-up-delay-duration pipelined in-memory",
    gc: "ratio-threshold batch-keys max-write-bytes-per-sec enable-compaction-filter num-threads",
    rocksdb: "max-open-files max-background-jobs max-background-flushes max-sub-compactions rate-bytes-per-sec",
    "rocksdb.defaultcf":
      "block-size write-buffer-size max-write-buffer-number level0-slowdown-writes-trigger level0-stop-writes-trigger disable-auto-compactions",
    raftdb: "max-open-files max-background-jobs max-sub-compactions",
    backup: "num-threads batch-size sst-max-size enable-auto-tune",
    import: "num-threads memory-use-ratio",
    "log-backup": "enable file-size-limit max-flush-interval",
    split:
      "qps-threshold byte-threshold split-balance-score split-contained-score detect-times sample-num sample-threshold",
    cdc: "min-ts-interval sink-memory-quota incremental-scan-threads",
    "resolved-ts": "enable advance-ts-interval scan-lock-pool-size",
    "resource-metering": "receiver-address report-receiver-interval max-resource-groups precision",
    "resource-control": "priority-ctl-strategy",
  }).flatMap(([section, names]) => names.split(" ").map((name) => `${section}.${name}`)),
);
