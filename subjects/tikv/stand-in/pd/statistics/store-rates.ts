import type { StoreView } from "../stores.ts";
import type { Flow, Rates } from "./hot-regions.ts";

/** Per second, over the store's last heartbeat interval. */
export function storeRates({ stats }: StoreView): Readonly<Record<Flow, Rates>> {
  const seconds = (stats?.intervalMs ?? 0) / 1_000;
  const rate = (count = 0) => (seconds > 0 ? count / seconds : 0);
  return {
    write: { bytes: rate(stats?.bytesWritten), keys: rate(stats?.keysWritten), query: rate(stats?.queriesWritten) },
    read: { bytes: rate(stats?.bytesRead), keys: rate(stats?.keysRead), query: rate(stats?.queriesRead) },
  };
}
