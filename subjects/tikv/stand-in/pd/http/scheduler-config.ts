import type { Cluster } from "../cluster.ts";
import { PdRefusal } from "../pd-refusal.ts";

const WHOLE = [{ "end-key": "", "start-key": "" }];
/** What balance-hot-region-scheduler answers with; it takes no changes here (pkg/schedule/schedulers/hot_region_config.go). */
const HOT_REGION = {
  "min-hot-byte-rate": 100,
  "min-hot-key-rate": 10,
  "min-hot-query-rate": 10,
  "max-zombie-rounds": 3,
  "max-peer-number": 1000,
  "byte-rate-rank-step-ratio": 0.05,
  "key-rate-rank-step-ratio": 0.05,
  "query-rate-rank-step-ratio": 0.05,
  "count-rank-step-ratio": 0.01,
  "great-dec-ratio": 0.95,
  "minor-dec-ratio": 0.99,
  "src-tolerance-ratio": 1.05,
  "dst-tolerance-ratio": 1.05,
  "write-leader-priorities": ["query", "byte"],
  "write-peer-priorities": ["byte", "key"],
  "read-priorities": ["query", "byte"],
  "strict-picking-store": "true",
  "enable-for-tiflash": "true",
  "rank-formula-version": "v2",
  "forbid-rw-type": "none",
  "split-thresholds": 0.2,
};

/** As GET /scheduler-config/{name}/list answers; null for a scheduler that has no settings. */
export function showSchedulerConfig({ state }: Cluster, name: string): object | null {
  const named = state.storeSchedulers.find((each) => each.name === name);
  if (named !== undefined) {
    const ranges = Object.fromEntries(named.storeIds.map((id) => [String(id), WHOLE]));
    return { "store-id-ranges": ranges, batch: 3 };
  }
  const { recoverySec, batch, stores } = state.slowStore;
  switch (name) {
    case "balance-leader-scheduler":
      return { ranges: WHOLE, batch: 4 };
    case "evict-slow-store-scheduler":
      return {
        "recovery-duration": recoverySec,
        "evict-stores": stores,
        "enable-network-slow-store": false,
        "paused-network-slow-stores": [],
        "evicted-network-slow-stores": null,
        batch,
      };
    case "balance-hot-region-scheduler":
      return HOT_REGION;
    default:
      return null;
  }
}

/** @returns what PD says. @throws PdRefusal */
export async function setSchedulerConfig(
  cluster: Cluster,
  name: string,
  body: Record<string, unknown>,
): Promise<string> {
  if (name !== "evict-slow-store-scheduler") throw new PdRefusal(404, "404 page not found");
  const { "recovery-duration": recovery, batch } = body;
  const { slowStore } = cluster.state;
  if (recovery !== undefined && typeof recovery !== "number")
    throw new PdRefusal(500, "invalid argument for 'recovery-duration'");
  if (batch !== undefined && typeof batch !== "number") throw new PdRefusal(500, "invalid argument for 'batch'");
  if (typeof batch === "number" && (batch < 1 || batch > 10))
    throw new PdRefusal(400, "batch is invalid, it should be in [1, 10]");
  const config = { ...slowStore, recoverySec: recovery ?? slowStore.recoverySec, batch: batch ?? slowStore.batch };
  await cluster.decide({ kind: "slow-store", config });
  return "Config updated.";
}
