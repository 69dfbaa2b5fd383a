import type { MetricRegistry } from "../../../common/metrics/registry.ts";
import type { Consensus } from "./consensus.ts";
import type { Leadership } from "./leadership.ts";

/** PD's `quota-backend-bytes`. */
const QUOTA_BYTES = 8 * 2 ** 30;

/** What etcd says of itself, in the names of etcd 3.5 and of PD's view of it. */
export function addEtcdMetrics(
  registry: MetricRegistry,
  parts: { consensus: Consensus; leadership: Leadership },
): void {
  const { consensus, leadership } = parts;
  const gauge = (name: string, help: string) => registry.gauge(name, help);
  const has = gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.");
  const is = gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.");
  const applied = gauge("etcd_server_proposals_applied_total", "The total number of consensus proposals applied.");
  const pending = gauge("etcd_server_proposals_pending", "The current number of pending proposals to commit.");
  const size = gauge(
    "etcd_mvcc_db_total_size_in_bytes",
    "Total size of the underlying database physically allocated in bytes.",
  );
  const quota = gauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.");
  const active = gauge("etcd_network_active_peers", "The current number of active peer connections.");
  const state = gauge("pd_server_etcd_state", "Etcd raft states.");
  const changes = registry.counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.");
  addQuiet(registry);
  let changesSaid = 0;
  changes.bind({});
  quota.set({}, QUOTA_BYTES);
  registry.collect(() => {
    has.set({}, consensus.role.leader === 0 ? 0 : 1);
    is.set({}, consensus.role.role === "leader" ? 1 : 0);
    changes.inc({}, leadership.leaderChanges - changesSaid);
    changesSaid = leadership.leaderChanges;
    applied.set({}, consensus.applied);
    pending.set({}, consensus.pendingProposals);
    size.set({}, consensus.sizeBytes);
    state.set({ type: "appliedIndex" }, consensus.applied);
    state.set({ type: "committedIndex" }, consensus.applied);
    state.set({ type: "term" }, consensus.term);
    active.clear();
    const ids = new Map(consensus.state.members.map(({ name, id }) => [name, hexId(id)]));
    const Local = ids.get(consensus.self) ?? "";
    for (const name of consensus.connectedPeers()) active.set({ Local, Remote: ids.get(name) ?? name }, 1);
  });
}

/** What counts troubles that ours does not have: at 0, so that a rule over them has data. */
function addQuiet(registry: MetricRegistry): void {
  for (const [name, help] of [
    [
      "etcd_server_heartbeat_send_failures_total",
      "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
    ],
    ["etcd_server_slow_apply_total", "The total number of slow apply requests (likely overloaded from slow disk)."],
    ["pd_monitor_time_jump_back_total", "Counter of system time jumps backward."],
  ] as const)
    registry.counter(name, help).bind({});
}

/** A member's id as etcd prints it. */
export const hexId = (id: string): string => BigInt(id).toString(16);
