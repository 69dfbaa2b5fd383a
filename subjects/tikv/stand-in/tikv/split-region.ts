import type { PdSession } from "./pd-session.ts";
import type { RegionPeer } from "./region-peer.ts";
import { regionHolds, toRegionMessage } from "./region.ts";

/** Splits at those keys that lie inside the region; without keys in the middle of what it holds. */
export async function splitRegion(
  peer: RegionPeer,
  keys: readonly string[],
  session: PdSession,
  signal: AbortSignal,
): Promise<void> {
  const { region, state } = peer;
  if (region === null || state === null) return;
  const { size } = state.values.of("default");
  const middle = (): string[] =>
    state.values
      .of("default")
      .keys(region.startKey, "")
      .slice(size >> 1, (size >> 1) + 1);
  const wanted = keys.length > 0 ? [...new Set(keys)].sort() : middle();
  const inside = wanted.filter((key) => key > region.startKey && regionHolds(region, key));
  if (inside.length === 0) return;
  const request = { region: toRegionMessage(region), split_count: inside.length };
  const { ids } = await session.call("AskBatchSplit", request, signal);
  const parts = ids.map(({ new_region_id, new_peer_ids }) => ({
    regionId: Number(new_region_id),
    peerIds: new_peer_ids.map(Number),
  }));
  await peer.split(region.epoch, inside, parts);
}
