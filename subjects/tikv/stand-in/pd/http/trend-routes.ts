import type { Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";
import { OPERATOR_STATUS, type Operator } from "../schedule/operator.ts";
import type { Flow } from "../statistics/hot-regions.ts";
import { hotPeers, storesOfHot } from "./hotspot-routes.ts";
import type { HttpParts } from "./parts.ts";
import { renderTrendStore } from "./render.ts";
import { json, type Routes } from "./reply.ts";

/** Go's zero time. */
const YEAR_ONE_SEC = -62_135_596_800;

export function trendRoutes({ cluster }: HttpParts): Routes {
  return {
    "GET /pd/api/v1/trend": ({ query }) => {
      const from = query.get("from");
      if (from !== null && !/^-?\d+$/.test(from))
        throw new PdRefusal(400, `strconv.ParseInt: parsing "${from}": invalid syntax`);
      const startSec = from === null ? YEAR_ONE_SEC : Number(from);
      const stores = cluster.stores().filter(({ meta }) => meta.state !== 2);
      return json({
        stores: stores.map((store) => ({ ...renderTrendStore(store), ...flowsOf(cluster, store.meta.id) })),
        history: {
          start: startSec,
          end: Math.floor(cluster.now() / 1_000),
          entries: history(cluster, startSec * 1_000),
        },
      });
    },
  };
}

function flowsOf(cluster: Cluster, storeId: number): object {
  const flows = (flow: Flow, as: "leader" | "peer") =>
    hotPeers(cluster, flow)
      .filter((each) => storesOfHot(each, as).includes(storeId))
      .map(({ hot }) => hot.bytes);
  const [write, read] = [flows("write", "peer"), flows("read", "leader")];
  const sum = (all: readonly number[]) => all.reduce((total, each) => total + each, 0);
  return {
    hot_write_flow: sum(write),
    hot_write_region_flows: write.length === 0 ? null : write,
    hot_read_flow: sum(read),
    hot_read_region_flows: read.length === 0 ? null : read,
  };
}

interface Entry {
  readonly from: number;
  readonly to: number;
  readonly kind: "leader" | "region";
}

/** What operators have moved from where to where, and how often. */
function history({ operators }: Cluster, fromMs: number): object[] {
  const moves = operators
    .records()
    .filter(({ finishedAtMs, status }) => finishedAtMs >= fromMs && status === OPERATOR_STATUS.success)
    .flatMap(movesOf);
  const groups = Map.groupBy(moves, ({ from, to, kind }) => `${from}/${to}/${kind}`);
  return [...groups.values()].map((all) => ({ ...(all[0] as Entry), count: all.length }));
}

function movesOf({ steps }: Operator): Entry[] {
  const added = steps.flatMap((step) => (step.kind === "add-learner" ? [step.storeId] : []));
  const removed = steps.flatMap((step) => (step.kind === "remove-peer" ? [step.storeId] : []));
  const leaders = steps.flatMap((step): Entry[] =>
    step.kind === "transfer-leader" ? [{ from: step.from, to: step.to, kind: "leader" }] : [],
  );
  const regions = added
    .slice(0, removed.length)
    .map((to, at): Entry => ({ from: removed[at] ?? 0, to, kind: "region" }));
  return [...leaders, ...regions];
}
