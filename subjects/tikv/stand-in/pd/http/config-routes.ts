import { nodeHttp } from "../../../../common/link/http-request.ts";
import type { Cluster } from "../cluster.ts";
import {
  defaultOther,
  defaultReplication,
  defaultSchedule,
  type ConfigSection,
  type ConfigValue,
} from "../default-config.ts";
import { durationText, parseDuration } from "../go-text.ts";
import { PdRefusal } from "../pd-refusal.ts";
import { demandDefaultRule } from "../placement/rule.ts";
import { demandNotTemporary, demandSupported, temporaryItems } from "../temporary-config.ts";
import type { HttpParts } from "./parts.ts";
import { goSyntaxError, json, type Routes } from "./reply.ts";

/** Items that exist but are not shown while they have their zero value. */
const HIDDEN: ConfigSection = { "halt-scheduling": "false", "enable-network-slow-store": "false" };
const LEADER_TIMEOUT_MS = 5_000;

export function configRoutes(parts: HttpParts): Routes {
  const { cluster, log } = parts;
  return {
    "GET /pd/api/v1/config": async () => {
      await demandLeader(parts);
      return json(wholeConfig(parts));
    },
    "GET /pd/api/v1/config/cluster-version": () => json(clusterVersion(cluster)),
    "GET /pd/api/v1/config/label-property": () => json({}),
    "GET /pd/api/v1/config/schedule": () => json(scheduleConfig(cluster)),
    "GET /pd/api/v1/config/replicate": () => json(cluster.state.replication),
    "POST /pd/api/v1/config": async ({ body, query }) => {
      const items = Object.entries(configBody(body));
      const ttl = query.get("ttlSecond") ?? "";
      if (ttl !== "") return setForAWhile(cluster, Object.fromEntries(items), ttl);
      for (const section of ["schedule", "replication"] as const) {
        const own = items.filter(([key]) => sectionOf(key) === section);
        const values = Object.fromEntries(own.map(([key, value]) => [bare(key), checked(section, bare(key), value)]));
        if (own.length > 0) await setItems(cluster, section, values, 400);
      }
      const unknown = items.find(([key]) => sectionOf(key) === null);
      if (unknown !== undefined) throw new PdRefusal(400, `config item ${unknown[0]} not found`);
      log.info("server.go:1000", "schedule config is updated", { new: JSON.stringify(Object.fromEntries(items)) });
      cluster.changed();
      return json("The config is updated.");
    },
    "POST /pd/api/v1/config/schedule": ({ body }) => setSection(cluster, "schedule", body),
    "POST /pd/api/v1/config/replicate": ({ body }) => setSection(cluster, "replication", body),
    "POST /pd/api/v1/admin/log": ({ body }) => {
      const level = body.toString("utf8").trim().replaceAll('"', "");
      if (!["debug", "info", "warn", "error", "fatal"].includes(level))
        throw new PdRefusal(400, `log level ${level} is illegal`);
      return json("The log level is updated.");
    },
  };
}

/** For so many seconds; 0 takes it back. */
async function setForAWhile(cluster: Cluster, items: Record<string, unknown>, ttl: string) {
  if (!/^[+-]?\d+$/.test(ttl)) throw new PdRefusal(400, `strconv.Atoi: parsing "${ttl}": invalid syntax`);
  demandSupported(items);
  const seconds = Number(ttl);
  const own = temporaryItems(items, seconds, cluster.now(), cluster.timeFactor);
  await cluster.decide({ kind: "temporary", items: own });
  cluster.changed();
  return json(seconds > 0 ? "The ttl config is updated." : "The ttl config is deleted.");
}

/** Items that it does not know are passed over in silence, as PD does here. */
async function setSection(cluster: Cluster, section: "schedule" | "replication", body: Buffer) {
  const known = Object.entries(configBody(body)).filter(([key]) => Object.hasOwn(defaultsOf(section), key));
  const values = Object.fromEntries(known.map(([key, value]) => [key, checked(section, key, value)]));
  await setItems(cluster, section, values, section === "schedule" ? 400 : 500);
  cluster.changed();
  return json("The config is updated.");
}

const IN_RULES = ["max-replicas", "location-labels", "isolation-level"];

/** @throws PdRefusal with this status when something else decides on an item now */
async function setItems(
  cluster: Cluster,
  section: "schedule" | "replication",
  values: ConfigSection,
  status: number,
): Promise<void> {
  const { state } = cluster;
  if (section === "schedule") for (const item of Object.keys(values)) demandNotTemporary(state, item, cluster.now());
  else if (IN_RULES.some((item) => item in values && values[item] !== state.replication[item]))
    demandDefaultRule(state.rules, state.replication, status);
  await cluster.decide({ kind: "config", section, values });
}

function configBody(body: Buffer): Record<string, unknown> {
  const source = body.toString("utf8");
  try {
    return JSON.parse(source) as Record<string, unknown>;
  } catch {
    throw new PdRefusal(400, goSyntaxError(source)[0]);
  }
}

function bare(key: string): string {
  return key.slice(key.indexOf(".") + 1);
}

function defaultsOf(section: "schedule" | "replication"): ConfigSection {
  return section === "schedule" ? { ...defaultSchedule, ...HIDDEN } : defaultReplication;
}

function sectionOf(key: string): "schedule" | "replication" | null {
  const [prefix, rest] = key.includes(".") ? [key.slice(0, key.indexOf(".")), bare(key)] : [null, key];
  for (const section of ["schedule", "replication"] as const)
    if ((prefix === null || prefix === section) && Object.hasOwn(defaultsOf(section), rest)) return section;
  return null;
}

const GO_NAMES = { schedule: "ScheduleConfig", replication: "ReplicationConfig" } as const;

/** @throws PdRefusal as Go's decoder refuses a value of the wrong type */
function checked(section: "schedule" | "replication", key: string, value: unknown): ConfigValue {
  const example = defaultsOf(section)[key];
  const field = `Go struct field ${GO_NAMES[section]}.${key} of type`;
  if (example === "true" || example === "false") {
    if (value === "true" || value === "false") return value;
    const what = typeof value === "string" ? `string "${value}"` : "unquoted value";
    throw new PdRefusal(400, `json: invalid use of ,string struct tag, trying to unmarshal ${what} into bool`);
  }
  if (typeof example === "number") return checkedNumber(section, key, example, value);
  if (typeof value !== "string")
    throw new PdRefusal(400, `json: cannot unmarshal ${typeof value} into ${field} string`);
  if (typeof example !== "string" || parseDuration(example) === null) return value;
  const ms = parseDuration(value);
  if (ms === null) throw new PdRefusal(400, `time: invalid duration "${value}"`);
  return durationText(ms);
}

function checkedNumber(section: "schedule" | "replication", key: string, example: number, value: unknown): number {
  const type = Number.isInteger(example) ? "uint64" : "float64";
  const field = `Go struct field ${GO_NAMES[section]}.${key} of type ${type}`;
  if (typeof value !== "number") throw new PdRefusal(400, `json: cannot unmarshal ${typeof value} into ${field}`);
  if (type === "uint64" && (value < 0 || !Number.isInteger(value)))
    throw new PdRefusal(400, `json: cannot unmarshal number ${value} into ${field}`);
  if (key === "max-replicas" && value === 0)
    throw new PdRefusal(500, "[PD:placement:ErrRuleContent]invalid rule content, invalid count 0");
  return value;
}

function scheduleConfig({ state }: Cluster): ConfigSection {
  const schedulers = [...state.schedulers, ...state.storeSchedulers.map(({ name }) => name)].map((name) => ({
    type: name === "balance-hot-region-scheduler" ? "hot-region" : name.replace(/-scheduler$/, ""),
    args: null,
    disable: false,
    "args-payload": "",
  }));
  const limits = Object.fromEntries(state.stores.map(({ id, limit }) => [String(id), limit]));
  const shown = Object.entries(state.schedule).filter(([key, value]) => HIDDEN[key] !== value);
  return { ...Object.fromEntries(shown), "store-limit": limits, "schedulers-v2": schedulers };
}

function wholeConfig({ flags, cluster }: HttpParts): ConfigSection {
  return {
    "client-urls": flags.clientUrl,
    "peer-urls": flags.peerUrl,
    "advertise-client-urls": flags.advertiseClientUrl,
    "advertise-peer-urls": flags.advertisePeerUrl,
    name: flags.name,
    "data-dir": flags.dataDir,
    "initial-cluster": flags.initialCluster,
    ...defaultOther,
    "cluster-version": clusterVersion(cluster),
    metric: { job: flags.name, address: "", interval: "15s" },
    schedule: scheduleConfig(cluster),
    replication: cluster.state.replication,
  };
}

function clusterVersion({ state }: Cluster): string {
  return state.clusterVersion === "" ? "0.0.0" : state.clusterVersion;
}

/** A follower answers with its own configuration and the leader's, so it needs the leader. @throws PdRefusal 500 */
async function demandLeader({ leadership, rules }: HttpParts): Promise<void> {
  const leader = leadership.leader;
  if (leadership.serving) return;
  if (leader === null) throw new PdRefusal(500, "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader");
  const url = `${leader.clientUrls[0]}/pd/api/v1/config`;
  const ping = { url: url.replace(/config$/, "ping"), method: "GET", peer: leader.name };
  await nodeHttp(ping, rules, AbortSignal.timeout(LEADER_TIMEOUT_MS)).catch((cause: unknown) => {
    const why =
      (cause as NodeJS.ErrnoException).code === "ECONNREFUSED" ? "connect: connection refused" : "i/o timeout";
    throw new PdRefusal(500, `Get "${url}": dial tcp ${new URL(url).host}: ${why}`);
  });
}
