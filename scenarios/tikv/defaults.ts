import type { Predicate, Scenario } from "../../harness/protocol.ts";

/** What a healthy TiKV cluster looks like to its clients and to PD. */
export const steadyState: readonly Predicate[] = [
  { kind: "client-success", atLeast: 0.99, windowMs: 3_000 },
  { kind: "invariant", name: "store_up" },
  { kind: "invariant", name: "pd_member_up" },
  { kind: "invariant", name: "pd_leader" },
];

/** About forty operations a second: enough to see an outage of a tenth of a second, little enough for a laptop. */
export const workload: Scenario["workload"] = {
  seed: 1,
  ratePerSecond: 40,
  clients: 8,
  keyPrefix: "",
  deadlineMs: 2_000,
};

export const limits: Scenario["limits"] = {
  steadyMs: 60_000,
  ticketMs: 60_000,
  operatorMs: 15 * 60_000,
  stableMs: 5_000,
  recoverMs: 60_000,
};
