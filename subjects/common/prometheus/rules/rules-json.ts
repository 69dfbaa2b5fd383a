import { createHash } from "node:crypto";
import { isoTime, type EpochMs } from "../../../../harness/base/clock.ts";
import { formatScientific } from "../go-format.ts";
import { sortedLabels } from "../labels.ts";
import { matches, type Matcher } from "../matcher.ts";
import { QueryError } from "../promql/errors.ts";
import { AlertingRule, type Alert } from "./alerting-rule.ts";
import type { RuleGroup, RunningRule } from "./group.ts";

/** Go's zero time, before anything was evaluated. */
const NEVER = "0001-01-01T00:00:00Z";

export interface RulesFilter {
  readonly type: "" | "alert" | "record";
  readonly names: readonly string[];
  readonly groups: readonly string[];
  readonly files: readonly string[];
  readonly excludeAlerts: boolean;
  /** Any of these sets of matchers holds over the rule's own labels; none = every rule. */
  readonly matchers: readonly (readonly Matcher[])[];
  /** Groups a page; 0 = all. */
  readonly groupLimit: number;
  readonly groupNextToken: string;
}

/** The parameters of `/api/v1/rules`. @throws QueryError `bad_data` naming the parameter */
export function rulesFilter(params: URLSearchParams, parseMatch: (text: string) => readonly Matcher[]): RulesFilter {
  const type = (params.get("type") ?? "").toLowerCase();
  if (type !== "" && type !== "alert" && type !== "record") throw invalid("type", `not supported value "${type}"`);
  const exclude = (params.get("exclude_alerts") ?? "").toLowerCase();
  if (!["", "true", "false", "1", "0", "t", "f"].includes(exclude))
    throw invalid(
      "exclude_alerts",
      `error converting exclude_alerts: strconv.ParseBool: parsing ${JSON.stringify(exclude)}: invalid syntax`,
    );
  const [limit, groupNextToken] = [params.get("group_limit") ?? "", params.get("group_next_token") ?? ""];
  if (groupNextToken !== "" && limit === "")
    throw invalid("group_next_token", "group_limit needs to be present in order to paginate over the groups");
  if (limit !== "" && !/^[+-]?\d+$/.test(limit))
    throw invalid(
      "group_limit",
      `group_limit needs to be a valid number: strconv.ParseInt: parsing ${JSON.stringify(limit)}: invalid syntax`,
    );
  if (limit !== "" && Number(limit) <= 0) throw invalid("group_limit", "group_limit needs to be greater than 0");
  return {
    type,
    names: params.getAll("rule_name[]"),
    groups: params.getAll("rule_group[]"),
    files: params.getAll("file[]"),
    excludeAlerts: ["true", "1", "t"].includes(exclude),
    matchers: params.getAll("match[]").map(parseMatch),
    groupLimit: Number(limit),
    groupNextToken,
  };
}

function invalid(name: string, what: string): QueryError {
  return new QueryError("bad_data", `invalid parameter "${name}": ${what}`);
}

/** The `data` of `/api/v1/rules` (web/api/v1/api.go). `shown` prints an expression as Prometheus does. */
export function rulesData(all: readonly RuleGroup[], filter: RulesFilter, shown: (expr: string) => string): object {
  const page: object[] = [];
  let found = filter.groupNextToken === "";
  for (const group of all) {
    found ||= tokenOf(group) === filter.groupNextToken;
    const { name, file, limit } = group.spec;
    const wanted = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);
    if (!found || !wanted(filter.groups, name) || !wanted(filter.files, file)) continue;
    const rules = group.rules.filter((rule) => selected(rule, filter));
    if (rules.length === 0) continue;
    if (filter.groupLimit > 0 && page.length === filter.groupLimit)
      return { groups: page, groupNextToken: tokenOf(group) };
    page.push({
      name,
      file,
      rules: rules.map((rule) => ruleJson(rule, filter, shown)),
      interval: group.intervalMs / 1_000,
      limit,
      evaluationTime: group.evaluationSeconds,
      lastEvaluation: timeOf(group.lastEvaluation),
    });
  }
  if (!found)
    throw invalid("group_next_token", `invalid group_next_token '${filter.groupNextToken}'. were rule groups changed?`);
  return { groups: page };
}

function tokenOf({ spec: { file, name } }: RuleGroup): string {
  return createHash("sha1").update(`${file};${name}`).digest("hex");
}

function selected({ rule }: RunningRule, { type, names, matchers }: RulesFilter): boolean {
  if (type !== "" && (type === "alert") !== rule instanceof AlertingRule) return false;
  if (names.length > 0 && !names.includes(rule.spec.name)) return false;
  return matchers.length === 0 || matchers.some((set) => matches(rule.spec.labels, set));
}

function ruleJson(
  { rule, health }: RunningRule,
  { excludeAlerts }: RulesFilter,
  shown: (expr: string) => string,
): object {
  const query = shown(rule.spec.expr);
  const evaluated = {
    health: health.health,
    ...(health.lastError === "" ? {} : { lastError: health.lastError }),
    evaluationTime: health.evaluationSeconds,
    lastEvaluation: timeOf(health.lastEvaluation),
  };
  if (!(rule instanceof AlertingRule)) {
    const { name, labels } = rule.spec;
    const own = Object.keys(labels).length === 0 ? {} : { labels: sortedLabels(labels) };
    return { name, query, ...own, ...evaluated, type: "recording" };
  }
  const { name, labels, annotations, forMs, keepFiringForMs } = rule.spec;
  return {
    state: rule.state,
    name,
    query,
    duration: forMs / 1_000,
    keepFiringFor: keepFiringForMs / 1_000,
    labels: sortedLabels(labels),
    annotations: sortedLabels(annotations),
    alerts: excludeAlerts ? null : rule.active.map(alertJson),
    ...evaluated,
    type: "alerting",
  };
}

/** The `data` of `/api/v1/alerts`. */
export function alertsData(all: readonly RuleGroup[]): object {
  const rules = all.flatMap((group) => group.rules.map(({ rule }) => rule));
  return {
    alerts: rules.flatMap((rule) => (rule instanceof AlertingRule ? rule.active.map(alertJson) : [])),
  };
}

function alertJson(alert: Alert): object {
  return {
    labels: sortedLabels(alert.labels),
    annotations: sortedLabels(alert.annotations),
    state: alert.state,
    activeAt: isoTime(alert.activeAt),
    ...(alert.keepFiringSince === null ? {} : { keepFiringSince: isoTime(alert.keepFiringSince) }),
    value: formatScientific(alert.value),
  };
}

function timeOf(at: EpochMs | null): string {
  return at === null ? NEVER : isoTime(at);
}
