import { type Counter, type Histogram, type MetricRegistry } from "../../../../common/metrics/registry.ts";

/** Names and labels as PD has them; events that never happened are there as zeros, as in PD. */
const RULE_EVENTS = [
  "add-rule-peer",
  "check",
  "demote-voter-role",
  "fix-follower-role",
  "fix-leader-role",
  "fix-peer-role",
  "move-to-better-location",
  "need-split",
  "no-new-leader",
  "no-store-add",
  "no-store-replace",
  "not-allow-leader",
  "paused",
  "region-no-leader",
  "remove-orphan-peer",
  "replace-down",
  "replace-offline",
  "skip-remove-orphan-peer",
];
const MERGE_EVENTS = [
  "abnormal-replica",
  "adj-abnormal-peerstore",
  "adj-abnormal-replica",
  "adj-disallow-merge",
  "adj-not-exist",
  "adj-recently-split",
  "adj-region-hot",
  "adj-special-peer",
  "check",
  "hot-region",
  "larger-source",
  "new-operator",
  "no-leader",
  "no-need",
  "no-target",
  "paused",
  "recently-split",
  "recently-start",
  "target-too-large",
  "unhealthy-region",
];
const JOINT_EVENTS = ["check", "create-operator-fail", "new-operator", "paused", "transfer-leader"];
/** Seconds, doubling from 10 ms on (tikv/pd:pkg/schedule/operator/metrics.go). */
const DURATIONS = Array.from({ length: 16 }, (_, power) => 0.01 * 2 ** power);

/** What scheduling counts. */
export interface ScheduleMetrics {
  /** `event` (create, finish, timeout, cancel, replace, ...), `type` = the operator's name. */
  readonly operators: Counter;
  readonly operatorDuration: Histogram;
  readonly stepDuration: Histogram;
  /** `name`, `type` = rule_checker, merge_checker, joint_state_checker. */
  readonly checker: Counter;
  /** `name` = schedule, new-operator, ...; `type` = the scheduler's name. */
  readonly scheduler: Counter;
  /** `event`, `type` of scattering. */
  readonly scatter: Counter;
}

export function scheduleMetrics(registry: MetricRegistry): ScheduleMetrics {
  const checker = registry.counter("pd_checker_event_count", "Counter of checker events.");
  for (const name of RULE_EVENTS) checker.inc({ name, type: "rule_checker" }, 0);
  for (const name of MERGE_EVENTS) checker.inc({ name, type: "merge_checker" }, 0);
  for (const name of JOINT_EVENTS) checker.inc({ name, type: "joint_state_checker" }, 0);
  const scatter = registry.counter("pd_schedule_scatter_operators_count", "Counter of region scatter operators.");
  for (const type of ["fail", "success", "unnecessary"]) scatter.inc({ event: "", type }, 0);
  return {
    checker,
    scatter,
    operators: registry.counter("pd_schedule_operators_count", "Counter of schedule operators."),
    operatorDuration: registry.histogram(
      "pd_schedule_finish_operators_duration_seconds",
      "Bucketed histogram of processing time (s) of finished operator.",
      DURATIONS,
    ),
    stepDuration: registry.histogram(
      "pd_schedule_finish_operator_steps_duration_seconds",
      "Bucketed histogram of processing time (s) of finished operator step.",
      DURATIONS,
    ),
    scheduler: registry.counter("pd_scheduler_event_count", "Counter of scheduler events."),
  };
}
