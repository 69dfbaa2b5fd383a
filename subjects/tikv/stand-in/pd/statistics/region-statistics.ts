import type { Region } from "../regions.ts";
import { EMPTY_MIB } from "./region-checks.ts";

/** As GET /stats/region has it. */
export function regionStatistics(regions: readonly Region[], countOnly: boolean): Record<string, unknown> {
  const sum = (value: (region: Region) => number) => regions.reduce((all, region) => all + value(region), 0);
  const none = {
    store_leader_count: null,
    store_peer_count: null,
    store_leader_size: null,
    store_leader_keys: null,
    store_peer_size: null,
    store_peer_keys: null,
  };
  const count = regions.length;
  if (countOnly) return { count, empty_count: 0, storage_size: 0, user_storage_size: 0, storage_keys: 0, ...none };
  const by = (stores: (region: Region) => readonly number[], value: (region: Region) => number) => {
    const sums: Record<string, number> = {};
    for (const region of regions) for (const store of stores(region)) sums[store] = (sums[store] ?? 0) + value(region);
    return sums;
  };
  const leader = ({ leader: peer }: Region) => (peer === null ? [] : [peer.storeId]);
  const peers = (region: Region) => region.peers.map(({ storeId }) => storeId);
  const [one, size, keys] = [() => 1, (r: Region) => r.approximateSize, (r: Region) => r.approximateKeys];
  return {
    count,
    empty_count: regions.filter(({ approximateSize }) => approximateSize <= EMPTY_MIB).length,
    storage_size: sum(size),
    user_storage_size: sum(({ approximateKvSize }) => approximateKvSize),
    storage_keys: sum(keys),
    store_leader_count: by(leader, one),
    store_peer_count: by(peers, one),
    store_leader_size: by(leader, size),
    store_leader_keys: by(leader, keys),
    store_peer_size: by(peers, size),
    store_peer_keys: by(peers, keys),
  };
}

/** How many regions fall into each step of `width`; steps without any are left out. */
export function histogram(values: readonly number[], width: number): object[] {
  const steps = Map.groupBy(values, (value) => Math.floor(value / width));
  return [...steps]
    .sort(([a], [b]) => a - b)
    .map(([step, all]) => ({ start: step * width, end: (step + 1) * width - 1, count: all.length }));
}

/** Ranges that no region covers, as pairs of upper-case hex keys. */
export function rangeHoles(regions: readonly Region[]): [string, string][] {
  const found: [string, string][] = [];
  let end = "";
  for (const [at, region] of regions.entries()) {
    if (region.startKey !== end) found.push([end.toUpperCase(), region.startKey.toUpperCase()]);
    end = region.endKey;
    if (at === regions.length - 1 && end !== "") found.push([end.toUpperCase(), ""]);
  }
  return found;
}
