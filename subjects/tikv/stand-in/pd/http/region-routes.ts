import type { Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { Region } from "../regions.ts";
import { CHECKS } from "../statistics/region-checks.ts";
import { histogram, rangeHoles, regionStatistics } from "../statistics/region-statistics.ts";
import { isIds } from "./create-operator.ts";
import type { HttpParts } from "./parts.ts";
import { renderRegion, renderRegions } from "./render.ts";
import { json, numberParam, objectBody, octets, text, type RouteRequest, type Routes } from "./reply.ts";

const DEFAULT_LIMIT = 16;
const MOST = 10_240;
/** Least width of a step of the histograms: MiB, keys. */
const SIZE_STEP = 1;
const KEYS_STEP = 1_000;

export function regionRoutes(parts: HttpParts): Routes {
  const { cluster } = parts;
  const { regions } = cluster;
  const top =
    (value: (region: Region) => number) =>
    ({ query }: RouteRequest) =>
      octets(renderRegions([...regions.all()].sort((a, b) => value(b) - value(a)).slice(0, limitOf(query))));
  return {
    "GET /pd/api/v1/region/id/{id}": ({ params }) => octets(renderRegion(regions.get(numberParam(params["id"] ?? "")))),
    "GET /pd/api/v1/region/key/{key}": ({ params, query }) =>
      octets(renderRegion(regions.at(keyHex(params["key"] ?? "", query)))),
    "GET /pd/api/v1/regions": () => octets(renderRegions(regions.all())),
    "GET /pd/api/v1/regions/count": () => json({ count: regions.count, regions: null }),
    "GET /pd/api/v1/regions/key": ({ query }) => {
      const [from, to] = [keyHex(query.get("key") ?? "", query), keyHex(query.get("end_key") ?? "", query)];
      return octets(renderRegions(regions.scan(from, to, limitOf(query))));
    },
    "GET /pd/api/v1/regions/store/{id}": ({ params, query }) =>
      octets(renderRegions(ofStore(regions.all(), numberParam(params["id"] ?? ""), query.get("type") ?? "all"))),
    "GET /pd/api/v1/regions/sibling/{id}": ({ params }) => siblings(cluster, numberParam(params["id"] ?? "")),
    "GET /pd/api/v1/regions/writeflow": top(({ writtenBytes }) => writtenBytes),
    "GET /pd/api/v1/regions/readflow": top(({ readBytes }) => readBytes),
    "GET /pd/api/v1/regions/writequery": top(({ writtenQueries }) => writtenQueries),
    "GET /pd/api/v1/regions/readquery": top(({ readQueries }) => readQueries),
    "GET /pd/api/v1/regions/confver": top(({ confVer }) => confVer),
    "GET /pd/api/v1/regions/version": top(({ version }) => version),
    "GET /pd/api/v1/regions/size": top(({ approximateSize }) => approximateSize),
    "GET /pd/api/v1/regions/keys": top(({ approximateKeys }) => approximateKeys),
    "GET /pd/api/v1/regions/cpu": top(({ cpuUsage }) => cpuUsage),
    "GET /pd/api/v1/regions/check/hist-size": ({ query }) => {
      const sizes = regions.all().map(({ approximateSize }) => approximateSize);
      return json(histogram(sizes, stepOf(query, SIZE_STEP)));
    },
    "GET /pd/api/v1/regions/check/hist-keys": ({ query }) => {
      const keys = regions.all().map(({ approximateKeys }) => approximateKeys);
      return json(histogram(keys, stepOf(query, KEYS_STEP)));
    },
    "GET /pd/api/v1/regions/check/{kind}": ({ params }) => {
      const check = Object.hasOwn(CHECKS, params["kind"] ?? "") ? CHECKS[params["kind"] ?? ""] : undefined;
      if (check === undefined) return text("404 page not found\n", 404);
      return octets(renderRegions(regions.all().filter((region) => check(region, cluster))));
    },
    "GET /pd/api/v1/regions/range-holes": () => json(rangeHoles(regions.all())),
    "GET /pd/api/v1/stats/region": ({ query }) => json(regionStatistics(inRange(cluster, query), query.has("count"))),
    "POST /pd/api/v1/regions/split": ({ body }) => split(parts, objectBody(body)),
    "POST /pd/api/v1/regions/scatter": ({ body }) => scatter(parts, objectBody(body)),
  };
}

function limitOf(query: URLSearchParams): number {
  return Math.min(MOST, integer(query.get("limit") ?? "", DEFAULT_LIMIT));
}

function stepOf(query: URLSearchParams, least: number): number {
  return Math.max(least, integer(query.get("bound") ?? "", least));
}

function integer(value: string, otherwise: number): number {
  if (value === "") return otherwise;
  if (!/^[+-]?\d+$/.test(value)) throw new PdRefusal(400, `strconv.Atoi: parsing "${value}": invalid syntax`);
  return Number(value);
}

function keyHex(key: string, query: URLSearchParams): string {
  return query.get("format") === "hex" ? key.toLowerCase() : Buffer.from(key, "utf8").toString("hex");
}

function ofStore(regions: readonly Region[], id: number, type: string): Region[] {
  const has = (peers: Region["peers"]) => peers.some(({ storeId }) => storeId === id);
  return regions.filter((region) => {
    const leads = region.leader?.storeId === id;
    const learns = has(region.peers.filter(({ role }) => role === 1));
    if (type === "leader") return leads;
    if (type === "learner") return learns;
    if (type === "follower") return has(region.peers) && !leads && !learns;
    if (type === "pending") return has(region.pendingPeers);
    return type === "witness" ? false : has(region.peers);
  });
}

function siblings({ regions }: Cluster, id: number) {
  const region = regions.get(id);
  if (region === undefined) throw new PdRefusal(404, `[PD:region:ErrRegionNotFound]region ${id} not found`);
  const all = regions.all();
  const at = all.indexOf(region);
  return octets(renderRegions([all[at - 1], all[at + 1]].filter((each) => each !== undefined)));
}

function inRange({ regions }: Cluster, query: URLSearchParams): readonly Region[] {
  return regions.scan(keyHex(query.get("start_key") ?? "", query), keyHex(query.get("end_key") ?? "", query), 0);
}

/** Answers when the stores have cut, or when it has waited long enough: the percentage says how many keys are bounds. */
async function split({ coordinator }: HttpParts, body: Record<string, unknown>) {
  const keys = body["split_keys"];
  if (!Array.isArray(keys)) throw new PdRefusal(400, "split_keys should be provided.");
  if (keys.length === 0) throw new PdRefusal(400, "empty split keys.");
  const wanted = keys.map((key) => String(key).toLowerCase());
  const made = await coordinator.splitAt(wanted);
  return json({
    "processed-percentage": Math.floor((made.length * 100) / wanted.length),
    "regions-id": made.map(({ id }) => id),
  });
}

function scatter({ cluster, coordinator }: HttpParts, body: Record<string, unknown>) {
  const { start_key: start, end_key: end, regions_id: ids } = body;
  const group = typeof body["group"] === "string" ? body["group"] : "";
  const byRange = typeof start === "string" && typeof end === "string";
  if (!byRange && !isIds(ids)) throw new PdRefusal(500, "regions_id is invalid");
  const regions = byRange
    ? cluster.regions.scan(start.toLowerCase(), end.toLowerCase(), 0)
    : (ids as number[]).flatMap((id) => cluster.regions.get(id) ?? []);
  const { failed, done } = coordinator.scatter(regions, group);
  const percentage = failed === 0 ? 100 : 100 - Math.floor((100 * failed) / (failed + done));
  return json({ "processed-percentage": percentage });
}
