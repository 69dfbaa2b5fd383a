import type { Cluster } from "../cluster.ts";
import { balanceHotRegion } from "./hot-region-scheduler.ts";
import { balanceLeader, evictFrom, grantTo, shuffleLeader } from "./leader-schedulers.ts";
import { balanceRegion, shuffleRegion } from "./region-schedulers.ts";
import type { Scheduler } from "./scheduler.ts";

/** The schedulers that a cluster has now, in the order in which they take their turns: those that evict come first. */
export function schedulersOf({ state, hot, schedule }: Cluster, stopping: readonly number[]): Scheduler[] {
  const degree = Number(schedule["hot-region-cache-hits-threshold"]);
  const plain: Readonly<Record<string, Scheduler>> = {
    "evict-slow-store-scheduler": evictFrom("evict-slow-store-scheduler", state.slowStore.stores),
    "evict-stopping-store-scheduler": evictFrom("evict-stopping-store-scheduler", stopping),
    "shuffle-leader-scheduler": shuffleLeader,
    "shuffle-region-scheduler": shuffleRegion,
    "balance-leader-scheduler": balanceLeader,
    "balance-region-scheduler": balanceRegion,
    "balance-hot-region-scheduler": balanceHotRegion((flow) => hot.hot(flow, degree)),
  };
  const named = state.storeSchedulers.flatMap(({ name, storeIds }) => {
    if (name === "evict-leader-scheduler") return [evictFrom(name, storeIds)];
    return name === "grant-leader-scheduler" ? [grantTo(storeIds)] : [];
  });
  const own = Object.values(plain).filter(({ name }) => state.schedulers.includes(name));
  return [...named, ...own];
}
