import type { Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import { rulesFor, sortRules, type LabelConstraint, type Rule, type RuleRole } from "../placement/rule.ts";
import type { HttpParts } from "./parts.ts";
import { goSyntaxError, json, objectBody, type RouteRequest, type Routes } from "./reply.ts";

const ROLES: readonly string[] = ["leader", "voter", "follower", "learner"];
const OPS: readonly string[] = ["in", "notIn", "exists", "notExists"];

/** Placement rules, by their v1 paths (tikv/pd:server/api/rule.go). */
export function ruleRoutes({ cluster }: HttpParts): Routes {
  const list = (rules: readonly Rule[]) => json(rules.map(renderRule));
  const one = ({ params }: RouteRequest) => [params["group"] ?? "", params["id"] ?? ""] as const;
  return {
    "GET /pd/api/v1/config/rules": guarded(cluster, () => list(sortRules(cluster.state.rules))),
    "GET /pd/api/v1/config/rules/group/{group}": guarded(cluster, ({ params }) =>
      list(sortRules(cluster.state.rules).filter(({ groupId }) => groupId === params["group"])),
    ),
    "GET /pd/api/v1/config/rules/region/{region}": guarded(cluster, ({ params }) => {
      const id = params["region"] ?? "";
      if (!/^\d+$/.test(id)) throw new PdRefusal(400, "invalid region id");
      const region = cluster.regions.get(Number(id));
      if (region === undefined) throw new PdRefusal(404, `[PD:region:ErrRegionNotFound]region ${id} not found`);
      return list(rulesFor(cluster.state.rules, region));
    }),
    "GET /pd/api/v1/config/rules/key/{key}": guarded(cluster, ({ params }) => {
      const key = hex(params["key"] ?? "", "key should be in hex format");
      return list(
        sortRules(cluster.state.rules).filter(
          ({ startKey, endKey }) => startKey <= key && (endKey === "" || key < endKey),
        ),
      );
    }),
    "POST /pd/api/v1/config/rules": guarded(cluster, async ({ body }) => {
      await set(cluster, arrayOf(body).map(readRule));
      return json("Update rules successfully.");
    }),
    "GET /pd/api/v1/config/rule/{group}/{id}": guarded(cluster, (request) => {
      const [group, id] = one(request);
      const rule = cluster.state.rules.find((each) => each.groupId === group && each.id === id);
      return rule === undefined ? json(null, 404) : json(renderRule(rule));
    }),
    "POST /pd/api/v1/config/rule": guarded(cluster, async ({ body }) => {
      await set(cluster, [readRule(objectBody(body))]);
      return json("Update rule successfully.");
    }),
    "DELETE /pd/api/v1/config/rule/{group}/{id}": guarded(cluster, async (request) => {
      const [group, id] = one(request);
      await replaceAll(
        cluster,
        cluster.state.rules.filter((rule) => rule.groupId !== group || rule.id !== id),
      );
      return json("Delete rule successfully.");
    }),
  };
}

function guarded(cluster: Cluster, handler: (request: RouteRequest) => ReturnType<Routes[string]>): Routes[string] {
  return (request) => {
    if (cluster.state.replication["enable-placement-rules"] !== "true")
      throw new PdRefusal(412, "placement rules feature is disabled");
    return handler(request);
  };
}

async function set(cluster: Cluster, given: readonly Rule[]): Promise<void> {
  const before = cluster.state.rules;
  const same = (a: Rule, b: Rule) => a.groupId === b.groupId && a.id === b.id;
  const changed = given.map((rule) => {
    const old = before.find((each) => same(each, rule));
    return old === undefined ? rule : { ...rule, version: old.version + 1 };
  });
  await replaceAll(cluster, [...before.filter((rule) => !given.some((each) => same(each, rule))), ...changed]);
}

/** Every key needs a rule by which somebody can lead. @throws PdRefusal 500 */
async function replaceAll(cluster: Cluster, rules: readonly Rule[]): Promise<void> {
  const bounds = [...new Set(["", ...rules.flatMap(({ startKey, endKey }) => [startKey, endKey])])].sort();
  for (const [at, startKey] of bounds.entries()) {
    const own = rulesFor(rules, { startKey, endKey: bounds[at + 1] ?? "" });
    const range = `{${startKey.toUpperCase()}, ${(bounds[at + 1] ?? "").toUpperCase()}}`;
    if (own.length === 0) throw buildFailed(`no rule for range ${range}`);
    if (own.every(({ role }) => role === "learner" || role === "follower"))
      throw buildFailed(`needs at least one leader or voter for range ${range}`);
  }
  await cluster.decide({ kind: "rules", rules });
  cluster.changed();
}

function buildFailed(why: string): PdRefusal {
  return new PdRefusal(500, `[PD:placement:ErrBuildRuleList]build rule list failed, ${why}`);
}

function invalid(why: string, status = 500): PdRefusal {
  return new PdRefusal(status, `[PD:placement:ErrRuleContent]invalid rule content, ${why}`);
}

function readRule(given: Record<string, unknown>): Rule {
  const text = (key: string) => (typeof given[key] === "string" ? given[key] : "");
  const startKey = hex(text("start_key"), "start key is not in hex format");
  const endKey = hex(text("end_key"), "end key is not hex format");
  if (endKey !== "" && endKey <= startKey) throw new PdRefusal(400, "endKey should be greater than startKey");
  const [role, count] = [text("role"), Number(given["count"] ?? 0)];
  if (text("group_id") === "") throw invalid("group ID should not be empty");
  if (text("id") === "") throw invalid("ID should not be empty");
  if (!ROLES.includes(role)) throw invalid(`invalid role ${role}`);
  if (!Number.isInteger(count) || count <= 0) throw invalid(`invalid count ${count}`);
  if (role === "leader" && count > 1) throw invalid(`define multiple leaders by count ${count}`);
  const locationLabels = Array.isArray(given["location_labels"]) ? given["location_labels"].map(String) : [];
  return {
    groupId: text("group_id"),
    id: text("id"),
    index: Number(given["index"] ?? 0),
    override: given["override"] === true,
    startKey,
    endKey,
    role: role as RuleRole,
    isWitness: given["is_witness"] === true,
    count,
    constraints: readConstraints(given["label_constraints"]),
    locationLabels,
    isolationLevel: text("isolation_level"),
    version: 0,
  };
}

function readConstraints(given: unknown): LabelConstraint[] {
  return (Array.isArray(given) ? (given as Record<string, unknown>[]) : []).map(({ key, op, values }) => {
    if (!OPS.includes(String(op))) throw invalid(`invalid op ${String(op)}`);
    const list = Array.isArray(values) ? values.map(String) : [];
    return { key: String(key), op: op as LabelConstraint["op"], values: list };
  });
}

function renderRule(rule: Rule): Record<string, unknown> {
  const filled = <T>(key: string, value: T, isEmpty: boolean) => (isEmpty ? {} : { [key]: value });
  return {
    group_id: rule.groupId,
    id: rule.id,
    ...filled("index", rule.index, rule.index === 0),
    ...filled("override", true, !rule.override),
    start_key: rule.startKey,
    end_key: rule.endKey,
    role: rule.role,
    is_witness: rule.isWitness,
    count: rule.count,
    ...filled("label_constraints", rule.constraints, rule.constraints.length === 0),
    ...filled("location_labels", rule.locationLabels, rule.locationLabels.length === 0),
    ...filled("isolation_level", rule.isolationLevel, rule.isolationLevel === ""),
    ...filled("version", rule.version, rule.version === 0),
  };
}

function hex(given: string, why: string): string {
  if (!/^([0-9a-f]{2})*$/i.test(given)) throw new PdRefusal(400, why);
  return given.toLowerCase();
}

function arrayOf(body: Buffer): Record<string, unknown>[] {
  const source = body.toString("utf8");
  try {
    const value: unknown = JSON.parse(source);
    if (Array.isArray(value)) return value as Record<string, unknown>[];
  } catch {
    throw new PdRefusal(400, goSyntaxError(source)[0]);
  }
  throw new PdRefusal(400, "json: cannot unmarshal object into Go value of type []*placement.Rule");
}
