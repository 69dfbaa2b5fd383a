import type { ConfigSection } from "../default-config.ts";
import { PdRefusal } from "../pd-refusal.ts";

export type RuleRole = "leader" | "voter" | "follower" | "learner";

export interface LabelConstraint {
  readonly key: string;
  readonly op: "in" | "notIn" | "exists" | "notExists";
  readonly values: readonly string[];
}

/** A placement rule as it is kept. Keys are lower-case hex. */
export interface Rule {
  readonly groupId: string;
  readonly id: string;
  readonly index: number;
  readonly override: boolean;
  readonly startKey: string;
  readonly endKey: string;
  readonly role: RuleRole;
  readonly isWitness: boolean;
  readonly count: number;
  readonly constraints: readonly LabelConstraint[];
  readonly locationLabels: readonly string[];
  readonly isolationLevel: string;
  /** Counts how often it was set again. */
  readonly version: number;
}

/** The rule that a cluster starts with, kept in step with the replication settings while it is the only one. */
export function defaultRule(replication: ConfigSection, version = 0): Rule {
  return {
    groupId: "pd",
    id: "default",
    index: 0,
    override: false,
    startKey: "",
    endKey: "",
    role: "voter",
    isWitness: false,
    count: Number(replication["max-replicas"]),
    constraints: [],
    locationLabels: labelsOf(replication),
    isolationLevel: String(replication["isolation-level"]),
    version,
  };
}

/**
 * Replication settings that rules took over are changed through the rules once somebody has changed those.
 *
 * @throws PdRefusal in PD's words, with the status of the path that asks
 */
export function demandDefaultRule(rules: readonly Rule[], replication: ConfigSection, status: number): void {
  const rule = rules.find(({ groupId, id }) => groupId === "pd" && id === "default");
  const only = "and not only default rule exists, please update rule instead";
  if (rule === undefined || rule.startKey !== "" || rule.endKey !== "")
    throw new PdRefusal(
      status,
      `cannot update MaxReplicas, LocationLabels or IsolationLevel when placement rules feature is enabled ${only}`,
    );
  const wanted = defaultRule(replication, rule.version);
  const same =
    rule.count === wanted.count &&
    rule.isolationLevel === wanted.isolationLevel &&
    rule.locationLabels.join() === wanted.locationLabels.join();
  if (same) return;
  const why = "the default rules do not consistent with replication config, please update rule instead";
  throw new PdRefusal(status, `cannot to update replication config, ${why}`);
}

export function labelsOf(replication: ConfigSection): string[] {
  return String(replication["location-labels"])
    .split(",")
    .filter((label) => label !== "");
}

/** In the order in which they count. */
export function sortRules(rules: readonly Rule[]): Rule[] {
  return [...rules].sort(
    (a, b) =>
      (a.groupId < b.groupId ? -1 : a.groupId > b.groupId ? 1 : 0) ||
      a.index - b.index ||
      (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}

/** The rules that hold for a whole range; none when one begins or ends inside it. */
export function rulesFor(
  rules: readonly Rule[],
  range: { readonly startKey: string; readonly endKey: string },
): Rule[] {
  const touching = sortRules(rules).filter(
    ({ startKey, endKey }) =>
      (endKey === "" || endKey > range.startKey) && (range.endKey === "" || startKey < range.endKey),
  );
  const whole = touching.every(
    ({ startKey, endKey }) =>
      startKey <= range.startKey && (endKey === "" || (range.endKey !== "" && endKey >= range.endKey)),
  );
  if (!whole) return [];
  // Within a group an overriding rule takes the place of those before it.
  return touching.filter(
    (rule, at) => !touching.some((other, later) => later > at && other.override && other.groupId === rule.groupId),
  );
}
