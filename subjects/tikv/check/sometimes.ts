/**
 * Keys that PD leaves out while they have their zero value (`omitempty` in tikv/pd:pkg/response/{store,region}.go,
 * pkg/storage/endpoint and pingcap/kvproto's generated JSON names): their absence says something about the cluster, not
 * about the server.
 */
const OMITTED_WHEN_ZERO: readonly RegExp[] = [
  /\.store\.(state|labels(\[\].*)?|peer_address|physically_destroyed|last_heartbeat|node_state|git_hash|deploy_path)$/,
  /\.store\.(start_timestamp|status_address)$/,
  /\.status\.(learner_count|witness_count|pending_peer_count|slow_score|sending_snap_count|receiving_snap_count)$/,
  /\.status\.(is_busy|start_ts|last_heartbeat_ts|uptime|network_slow_score(\..*)?)$/,
  /\.status\.slow_trend\..*$/,
  /(^|\.)(down_peers|pending_peers)\[\].*$/,
  /\.(peers\[\]|peer|leader)\.(role|is_learner|is_witness)$/,
  /(^|\]|\.leader|\.etcd_leader)\.leader_priority$/,
  /\.(approximate_kv_size|buckets\[\].*|query_stats\..*)$/,
  /^\[\]\.version$/,
];

export const mayBeAbsent = (path: string): boolean => OMITTED_WHEN_ZERO.some((pattern) => pattern.test(path));
