import type { Comparison, Difference } from "./compare.ts";

/** What rules, dashboards and invariants read of PD and the etcd in it (`docs/tikv-facts.md` section 4). */
const FAMILIES: readonly string[] = [
  "pd_cluster_status",
  "pd_regions_status",
  "pd_scheduler_store_status",
  "pd_hotspot_status",
  "service_member_role",
  "pd_cluster_health_status",
  "pd_scheduler_status",
  "pd_scheduling_allowance_status",
  "pd_config_status",
  "pd_cluster_store_limit",
  "pd_cluster_progress",
  "pd_scheduler_evicted_slow_store_status",
  "pd_server_etcd_state",
  "pd_cluster_tso_gap_millionseconds",
  "pd_service_maxprocs",
  "pd_service_memory_quota_bytes",
  "pd_server_info",
  "pd_schedule_operators_count",
  "pd_checker_event_count",
  "pd_tso_events",
  "pd_scheduler_region_heartbeat",
  "pd_monitor_time_jump_back_total",
  "pd_scheduler_handle_store_heartbeat_duration_seconds",
  "pd_scheduler_handle_region_heartbeat_duration_seconds",
  "grpc_server_handling_seconds",
  "pd_service_audit_handling_seconds",
  "etcd_server_has_leader",
  "etcd_server_is_leader",
  "etcd_server_proposals_pending",
  "etcd_mvcc_db_total_size_in_bytes",
  "etcd_server_quota_backend_bytes",
  "etcd_network_active_peers",
  "etcd_server_leader_changes_seen_total",
  "etcd_server_proposals_failed_total",
  "etcd_server_heartbeat_send_failures_total",
  "etcd_server_slow_apply_total",
  "etcd_network_peer_sent_failures_total",
  "etcd_disk_wal_fsync_duration_seconds",
  "etcd_disk_backend_commit_duration_seconds",
  "etcd_network_peer_round_trip_time_seconds",
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
  "process_virtual_memory_bytes",
  "process_start_time_seconds",
  "process_open_fds",
  "go_goroutines",
];

/** Families whose label `type` is a closed list: each is a series of its own to whoever queries. */
const TYPED: readonly string[] = [
  "pd_cluster_status",
  "pd_regions_status",
  "pd_scheduler_store_status",
  "pd_server_etcd_state",
];

interface Family {
  readonly type: string;
  /** Names of labels, joined; one entry per combination. */
  readonly labels: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
}

/** Names, types and labels of the metrics that matter. Families without series on the recorded side are not asked for. */
export function compareMetrics(wantedText: string, gotText: string): Comparison {
  const [wanted, got] = [familiesOf(wantedText), familiesOf(gotText)];
  const differences: Difference[] = [];
  let leaves = 0;
  for (const name of FAMILIES) {
    const theirs = wanted.get(name);
    if (theirs === undefined) continue;
    leaves += 1 + theirs.labels.size + theirs.types.size;
    const ours = got.get(name);
    if (ours === undefined) {
      differences.push({ kind: "missing-key", at: name, wanted: theirs.type, got: "absent" });
      continue;
    }
    if (ours.type !== theirs.type) differences.push({ kind: "type", at: name, wanted: theirs.type, got: ours.type });
    differences.push(...compareSets(name, "", theirs.labels, ours.labels));
    if (TYPED.includes(name)) differences.push(...compareSets(name, "type=", theirs.types, ours.types));
  }
  return { differences, leaves };
}

function compareSets(name: string, what: string, theirs: ReadonlySet<string>, ours: ReadonlySet<string>): Difference[] {
  const at = (item: string) => `${name}{${what}${item}}`;
  return [
    ...[...theirs]
      .filter((item) => !ours.has(item))
      .map((item): Difference => ({ kind: "missing-key", at: at(item), wanted: "a series", got: "none" })),
    ...[...ours]
      .filter((item) => !theirs.has(item))
      .map((item): Difference => ({ kind: "extra-key", at: at(item), wanted: "none", got: "a series" })),
  ];
}

function familiesOf(text: string): Map<string, Family> {
  const families = new Map<string, { type: string; labels: Set<string>; types: Set<string> }>();
  for (const line of text.split("\n")) {
    const head = /^# TYPE (\S+) (\S+)/.exec(line);
    if (head !== null) families.set(head[1] ?? "", { type: head[2] ?? "", labels: new Set(), types: new Set() });
    const series = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /.exec(line);
    if (series === null) continue;
    const [, name = "", labels = ""] = series;
    const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
    if (family === undefined) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    family.labels.add(
      pairs
        .map(([, label]) => label ?? "")
        .filter((label) => label !== "le")
        .sort()
        .join(","),
    );
    const type = pairs.find(([, label]) => label === "type")?.[2];
    if (type !== undefined && TYPED.includes(name)) family.types.add(type);
  }
  return families;
}
