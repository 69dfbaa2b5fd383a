import { storeNotFound, type Cluster } from "../cluster.ts";
import { prettyJson, timeText } from "../go-text.ts";
import { PdRefusal } from "../pd-refusal.ts";
import type { StoreScheduler } from "../state.ts";
import { setSchedulerConfig, showSchedulerConfig } from "./scheduler-config.ts";
import type { HttpParts } from "./parts.ts";
import { badInput, BadBody, json, objectBody, type Routes } from "./reply.ts";

/** Schedulers that act on named stores, and those that need none. */
const STORE_SCHEDULERS = ["evict-leader-scheduler", "grant-leader-scheduler"];
const PLAIN_SCHEDULERS = [
  "balance-leader-scheduler",
  "balance-region-scheduler",
  "balance-hot-region-scheduler",
  "evict-slow-store-scheduler",
  "evict-stopping-store-scheduler",
  "shuffle-leader-scheduler",
  "shuffle-region-scheduler",
];
const CHECKERS = ["learner", "replica", "rule", "split", "merge", "joint-state", "priority"];

export function schedulerRoutes({ cluster, coordinator }: HttpParts): Routes {
  return {
    "GET /pd/api/v1/schedulers": ({ query }) => {
      const status = query.get("status");
      if (status === "disabled") return json([]);
      if (status !== "paused") return json(names(cluster));
      const paused = names(cluster).filter((name) => coordinator.isPaused(name));
      if (!query.has("timestamp")) return json(paused.sort());
      return json(
        paused.sort().map((name) => {
          const pause = cluster.paused.get(name);
          return { name, paused_at: seconds(pause?.fromMs ?? 0), resume_at: seconds(pause?.untilMs ?? 0) };
        }),
      );
    },
    "POST /pd/api/v1/schedulers": async ({ body }) => {
      const reply = await addScheduler(cluster, objectBody(body));
      cluster.changed();
      return json(reply);
    },
    "DELETE /pd/api/v1/schedulers/{name}": async ({ params }) => removeScheduler(cluster, params["name"] ?? ""),
    "POST /pd/api/v1/schedulers/{name}": ({ params, body }) => {
      const wanted = params["name"] ?? "";
      const untilMs = pauseEnd(cluster, objectBody(body));
      const hit = wanted === "all" ? names(cluster) : names(cluster).filter((name) => name === wanted);
      if (hit.length === 0) throw schedulerNotFound(500);
      for (const name of hit) cluster.paused.set(name, { fromMs: cluster.now(), untilMs });
      cluster.changed();
      return json("Pause or resume the scheduler successfully.");
    },
    "GET /pd/api/v1/scheduler-config/{name}/list": ({ params }) => {
      const name = params["name"] ?? "";
      const shown = names(cluster).includes(name) ? showSchedulerConfig(cluster, name) : null;
      if (shown === null) throw schedulerNotFound(404);
      return json(shown);
    },
    "POST /pd/api/v1/scheduler-config/{name}/config": async ({ params, body }) => {
      const name = params["name"] ?? "";
      if (!names(cluster).includes(name)) throw schedulerNotFound(404);
      const reply = await setSchedulerConfig(cluster, name, objectBody(body));
      cluster.changed();
      return json(reply);
    },
    "DELETE /pd/api/v1/scheduler-config/{name}/delete/{store}": async ({ params }) => {
      const removed = await removeStore(cluster, params["name"] ?? "", Number(params["store"]));
      if (removed === "not there")
        throw new PdRefusal(404, "[PD:scheduler:ErrScheduleConfigNotExist]the config does not exist");
      return json(removed === "the last" ? "The last store has been deleted" : null);
    },
    "GET /pd/api/v1/checker/{name}": ({ params }) =>
      json({ paused: (cluster.pausedCheckers.get(checker(params["name"] ?? ""))?.untilMs ?? 0) > cluster.now() }),
    "POST /pd/api/v1/checker/{name}": ({ params, body }) => {
      const name = checker(params["name"] ?? "");
      const untilMs = pauseEnd(cluster, objectBody(body));
      const pauses = untilMs > cluster.now();
      cluster.pausedCheckers.set(name, { fromMs: cluster.now(), untilMs });
      cluster.changed();
      return json(pauses ? "Pause the checker successfully." : "Resume the checker successfully.");
    },
  };
}

function names({ state }: Cluster): string[] {
  return [...state.schedulers, ...state.storeSchedulers.map(({ name }) => name)];
}

function seconds(ms: number): string {
  return timeText(Math.floor(ms / 1_000) * 1_000);
}

function schedulerNotFound(status: number): PdRefusal {
  return new PdRefusal(status, "[PD:scheduler:ErrSchedulerNotFound]scheduler not found");
}

function checker(name: string): string {
  if (!CHECKERS.includes(name)) throw new PdRefusal(500, "[PD:checker:ErrCheckerNotFound]checker not found");
  return name;
}

/** `delay` in seconds, scaled like every other time of this cluster; 0 resumes. */
function pauseEnd(cluster: Cluster, { delay }: Record<string, unknown>): number {
  if (delay === undefined) throw new PdRefusal(400, "missing pause time");
  if (typeof delay !== "number")
    throw new BadBody(
      badInput(`json: cannot unmarshal ${typeof delay} into Go value of type int64`, {
        Value: typeof delay,
        Type: {},
        Offset: 13,
        Struct: "",
        Field: "",
      }),
    );
  return cluster.now() + delay * 1_000 * cluster.timeFactor;
}

async function addScheduler(cluster: Cluster, body: Record<string, unknown>): Promise<string> {
  const { schedulers, storeSchedulers } = cluster.state;
  const { name, store_id: storeId } = body;
  if (typeof name !== "string") throw new PdRefusal(400, "missing scheduler name");
  if (STORE_SCHEDULERS.includes(name)) {
    if (typeof storeId !== "number") throw new PdRefusal(400, "missing store id");
    // The answer of an inner request, quoted once more.
    if (cluster.state.stores.every(({ id }) => id !== storeId))
      throw new PdRefusal(500, prettyJson(storeNotFound(storeId).body));
    const known = storeSchedulers.find((each) => each.name === name);
    const storeIds = [...new Set([...(known?.storeIds ?? []), storeId])];
    await decide(cluster, name, storeIds);
    return known === undefined ? "The scheduler is created." : "The scheduler has been applied to the store.";
  }
  if (!PLAIN_SCHEDULERS.includes(name)) throw new PdRefusal(400, "unknown scheduler");
  if (schedulers.includes(name)) throw new PdRefusal(500, "[PD:scheduler:ErrSchedulerExisted]scheduler existed");
  await cluster.decide({ kind: "schedulers", schedulers: [...schedulers, name], storeSchedulers });
  return "The scheduler is created.";
}

/** From a scheduler that acts on named stores, which goes with its last one. */
async function removeStore(
  cluster: Cluster,
  name: string,
  storeId: number,
): Promise<"not there" | "removed" | "the last"> {
  const known = cluster.state.storeSchedulers.find((each) => each.name === name);
  if (known?.storeIds.includes(storeId) !== true) return "not there";
  const rest = known.storeIds.filter((id) => id !== storeId);
  await decide(cluster, name, rest);
  cluster.changed();
  return rest.length === 0 ? "the last" : "removed";
}

/** `<name>` removes it; `<name>-<store>` only that store, and the scheduler with its last one. */
async function removeScheduler(cluster: Cluster, wanted: string) {
  const { schedulers, storeSchedulers } = cluster.state;
  if (schedulers.includes(wanted)) {
    const rest = schedulers.filter((name) => name !== wanted);
    await cluster.decide({ kind: "schedulers", schedulers: rest, storeSchedulers });
    cluster.changed();
    return json("The scheduler is removed.");
  }
  const suffixed = /^(.+-scheduler)-(\d+)$/.exec(wanted);
  const name = suffixed?.[1] ?? wanted;
  const known = storeSchedulers.find((each) => each.name === name);
  if (suffixed !== null && STORE_SCHEDULERS.includes(name)) {
    const removed = await removeStore(cluster, name, Number(suffixed[2]));
    return json(null, removed === "not there" ? 404 : 200);
  }
  if (known === undefined) throw schedulerNotFound(404);
  await decide(cluster, name, []);
  cluster.changed();
  return json("The scheduler is removed.");
}

async function decide(cluster: Cluster, name: string, storeIds: readonly number[]): Promise<void> {
  const { schedulers, storeSchedulers } = cluster.state;
  const others = storeSchedulers.filter((each) => each.name !== name);
  const all: StoreScheduler[] = storeIds.length === 0 ? others : [...others, { name, storeIds }];
  await cluster.decide({ kind: "schedulers", schedulers, storeSchedulers: all });
}
