import type { Families } from "./families.ts";

export interface SizeLimits {
  readonly maxBytes: number;
  readonly splitBytes: number;
  readonly maxKeys: number;
  readonly splitKeys: number;
  /** Keys of one split. */
  readonly batch: number;
}

/** The middle of what is there, by bytes; null when it cannot be split. */
export function halfKey(families: Families): string | null {
  const values = families.of("default");
  const keys = values.keys("", "");
  let left = values.bytes / 2;
  for (const [at, key] of keys.entries()) {
    if (left <= 0 && at > 0) return key;
    left -= key.length + (values.get(key)?.length ?? 0);
  }
  return keys.length > 1 ? (keys.at(-1) ?? null) : null;
}

/**
 * Where a region that is too big is cut: one part after the other of the size of a split, and no last part that would
 * be too small (tikv/tikv:components/raftstore/src/coprocessor/split_check/{size,keys}.rs).
 */
export function sizedKeys(families: Families, limits: SizeLimits): string[] {
  const values = families.of("default");
  const cuts: string[] = [];
  let [bytes, count] = [0, 0];
  for (const key of values.keys("", "")) {
    const size = key.length + (values.get(key)?.length ?? 0);
    bytes += size;
    count++;
    if (bytes <= limits.splitBytes && count <= limits.splitKeys) continue;
    if (cuts.length === limits.batch) return cuts;
    if (count > 1) cuts.push(key);
    [bytes, count] = [size, 1];
  }
  const lastIsSmall = bytes + limits.splitBytes < limits.maxBytes && count + limits.splitKeys < limits.maxKeys;
  return lastIsSmall ? cuts.slice(0, -1) : cuts;
}
