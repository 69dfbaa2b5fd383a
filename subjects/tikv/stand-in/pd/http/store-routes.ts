import { storeNotFound, type Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { StoreProgress } from "../progress.ts";
import type { StoreView } from "../stores.ts";
import type { StoreMeta } from "../state.ts";
import type { HttpParts } from "./parts.ts";
import { renderStore } from "./render.ts";
import { badInput, BadBody, json, numberParam, objectBody, text, type RouteRequest, type Routes } from "./reply.ts";

const STATE_NAMES = ["Up", "Disconnected", "Down", "Offline", "Tombstone"] as const;

export function storeRoutes({ cluster }: HttpParts): Routes {
  const id = ({ params }: RouteRequest) => numberParam(params["id"] ?? "");
  const shown = (store: StoreView) => renderStore(store, Number(cluster.schedule["low-space-ratio"]));
  const listed = (stores: readonly StoreView[]) => json({ count: stores.length, stores: stores.map(shown) });
  return {
    "GET /pd/api/v1/stores": ({ query }) => listed(byState(cluster.stores(), query)),
    "GET /pd/api/v1/stores/check": ({ query }) => listed(byStateName(cluster.stores(), query)),
    "GET /pd/api/v1/stores/progress": ({ query }) => progress(cluster, query),
    "DELETE /pd/api/v1/stores/remove-tombstone": async () => {
      for (const { meta } of cluster.stores())
        if (meta.state === 2) await cluster.decide({ kind: "forget-store", id: meta.id });
      return json("Remove tombstone successfully.");
    },
    "GET /pd/api/v1/stores/limit": () => json(limits(cluster)),
    "POST /pd/api/v1/stores/limit": async ({ body }) => {
      for (const { meta } of cluster.stores()) await putLimit(cluster, meta, objectBody(body));
      return json("Set store limit successfully.");
    },
    "GET /pd/api/v1/store/{id}": (request) => json(shown(cluster.store(id(request)))),
    "DELETE /pd/api/v1/store/{id}": async (request) => {
      await cluster.setStoreState(id(request), "Offline", request.query.has("force"));
      return json("The store is set as Offline.");
    },
    "POST /pd/api/v1/store/{id}/state": async (request) => {
      const state = request.query.get("state") ?? "";
      const store = cluster.store(id(request));
      if (state !== "Up" && state !== "Offline") throw new PdRefusal(400, `invalid state ${state}`);
      await cluster.setStoreState(store.meta.id, state, false);
      return json("The store's state is updated.");
    },
    "POST /pd/api/v1/store/{id}/weight": async (request) => {
      const { leader, region } = objectBody(request.body);
      if (leader === undefined) throw new PdRefusal(400, "leader weight unset");
      if (region === undefined) throw new PdRefusal(400, "region weight unset");
      if (typeof leader !== "number" || leader < 0) throw new PdRefusal(400, "bad format leader weight");
      if (typeof region !== "number" || region < 0) throw new PdRefusal(400, "bad format region weight");
      await change(cluster, id(request), { leaderWeight: leader, regionWeight: region });
      return json("The store's weight is updated.");
    },
    "POST /pd/api/v1/store/{id}/limit": async (request) => {
      await putLimit(cluster, meta(cluster, id(request)), objectBody(request.body));
      return json("The store's limit is updated.");
    },
    "POST /pd/api/v1/store/{id}/label": async (request) => {
      const given = Object.entries(objectBody(request.body)).map(([key, value]) => ({ key, value: String(value) }));
      const before = request.query.has("force") ? [] : meta(cluster, id(request)).labels;
      const kept = before.filter(({ key }) => given.every((label) => label.key !== key));
      await change(cluster, id(request), { labels: [...kept, ...given] });
      return json("The store's label is updated.");
    },
    "DELETE /pd/api/v1/store/{id}/label": async (request) => {
      const key = jsonString(request.body);
      const labels = meta(cluster, id(request)).labels;
      await change(cluster, id(request), { labels: labels.filter((label) => label.key !== key) });
      return json(`The label ${key} is deleted for store ${id(request)}.`);
    },
    "GET /pd/api/v1/labels": () => {
      const labels = cluster.stores().flatMap(({ meta: { labels: own } }) => own);
      return json(labels.length === 0 ? null : labels);
    },
    "GET /pd/api/v1/labels/stores": ({ query }) =>
      listed(
        cluster
          .stores()
          .filter((store) =>
            store.meta.labels.some(({ key, value }) => key === query.get("name") && value === query.get("value")),
          ),
      ),
  };
}

function byState(stores: readonly StoreView[], query: URLSearchParams): StoreView[] {
  const wanted = query.getAll("state").map((value) => {
    if (!/^-?\d+$/.test(value)) throw new PdRefusal(500, `strconv.Atoi: parsing "${value}": invalid syntax`);
    return Number(value);
  });
  return stores.filter(({ meta: { state } }) => (wanted.length === 0 ? state !== 2 : wanted.includes(state)));
}

function byStateName(stores: readonly StoreView[], query: URLSearchParams): StoreView[] {
  const wanted = query.getAll("state").map((given) => {
    const known = STATE_NAMES.find((name) => name.toLowerCase() === given.toLowerCase());
    if (known === undefined) throw new PdRefusal(400, `unknown StoreState: ${given}`);
    return known;
  });
  return stores.filter(({ stateName }) => wanted.length === 0 || wanted.includes(stateName));
}

/** Stores that are being emptied: how far, how fast. Nothing becomes ready bit by bit here. */
function progress(cluster: Cluster, query: URLSearchParams) {
  const [action, wantedId] = [query.get("action"), query.get("id")];
  if (action === null && wantedId === null) return json("need query parameters", 400);
  const all = cluster.removing.all();
  const going = wantedId === null ? all : all.filter(({ storeId }) => storeId === Number(wantedId));
  const [first] = going;
  if (first === undefined || (wantedId === null && action !== "removing"))
    return json(
      wantedId === null ? "no progress found for the action" : "no progress found for the given store ID",
      404,
    );
  const mean = (of: (one: StoreProgress) => number) => going.reduce((sum, one) => sum + of(one), 0) / going.length;
  const share = mean((one) => one.progress);
  // A store that had nothing on it: PD divides by zero.
  if (Number.isNaN(share)) return text("json: unsupported value: NaN\n", 500);
  return json({
    action: "removing",
    ...(wantedId === null ? {} : { store_id: first.storeId }),
    progress: share,
    current_speed: mean(({ speed }) => speed),
    left_seconds: mean(({ leftSeconds }) => leftSeconds),
  });
}

function limits(cluster: Cluster): Record<string, unknown> {
  return Object.fromEntries(cluster.stores().map(({ meta: { id, limit } }) => [String(id), limit]));
}

async function putLimit(cluster: Cluster, store: StoreMeta, body: Record<string, unknown>): Promise<void> {
  const { rate, type } = body;
  if (rate === undefined) throw new PdRefusal(400, "rate unset");
  if (typeof rate !== "number" || rate <= 0) throw new PdRefusal(400, "invalid rate which should be larger than 0");
  if (type !== undefined && type !== "add-peer" && type !== "remove-peer") throw new PdRefusal(400, "unknown type");
  const both = { "add-peer": rate, "remove-peer": rate };
  await change(cluster, store.id, { limit: type === undefined ? both : { ...store.limit, [type]: rate } });
}

function meta(cluster: Cluster, id: number): StoreMeta {
  const found = cluster.state.stores.find((store) => store.id === id);
  // These handlers do not tell an unknown store from any other failure.
  if (found === undefined) throw new PdRefusal(500, storeNotFound(id).body);
  return found;
}

async function change(cluster: Cluster, id: number, changes: Partial<StoreMeta>): Promise<void> {
  await cluster.decide({ kind: "put-store", store: { ...meta(cluster, id), ...changes } });
  cluster.changed();
}

function jsonString(body: Buffer): string {
  const parsed: unknown = JSON.parse(body.toString("utf8") || "null");
  if (typeof parsed !== "string")
    throw new BadBody(badInput("json: cannot unmarshal value into Go value of type string"));
  return parsed;
}
