import type { KeyValues } from "./key-values.ts";
import { latin1, type RawPair, type RawRange } from "./raw-request.ts";
import type { Region } from "./region.ts";

/** Forward: from start_key up to, not including, end_key. Reverse: from before start_key down to end_key. */
export interface ScanOrder {
  readonly reverse: boolean;
  readonly limit: number;
  readonly keyOnly: boolean;
}

/** What of a range lies in the region, in order. */
export function scanRange(values: KeyValues, region: Region, range: RawRange, order: ScanOrder): RawPair[] {
  const { reverse, limit, keyOnly } = order;
  const [low, high] = reverse
    ? [latin1(range.end_key), latin1(range.start_key)]
    : [latin1(range.start_key), latin1(range.end_key)];
  const keys = values.keys(low > region.startKey ? low : region.startKey, withinRegion(region, high));
  const chosen = reverse ? keys.slice(Math.max(0, keys.length - limit)).reverse() : keys.slice(0, limit);
  return chosen.map((key) => ({
    key: Buffer.from(key, "latin1"),
    value: keyOnly ? EMPTY : (values.get(key) ?? EMPTY),
  }));
}

/** An end key that does not reach beyond the region; "" = no end. */
export function withinRegion(region: Region, end: string): string {
  if (region.endKey === "") return end;
  return end === "" || end > region.endKey ? region.endKey : end;
}

/** Ranges of one scan: an open end reaches to where the next begins. */
export function closedRanges(ranges: readonly RawRange[]): RawRange[] {
  return ranges.map(({ start_key, end_key }, at) => ({
    start_key,
    end_key: end_key.length === 0 ? (ranges[at + 1]?.start_key ?? end_key) : end_key,
  }));
}

const EMPTY = Buffer.alloc(0);
