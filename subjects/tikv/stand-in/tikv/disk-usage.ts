/** How full a store says that it is (kvproto:proto/disk_usage.proto, in this order). */
export const DISK_USAGES = ["Normal", "AlmostFull", "AlreadyFull"] as const;
export type DiskUsage = (typeof DISK_USAGES)[number];

/** Bytes. */
export interface DiskSizes {
  /** What the store may use: the configured capacity where the disk has more. */
  readonly capacity: number;
  /** What is left of it. */
  readonly available: number;
  readonly used: number;
}

/**
 * Bytes kept free: the configured ones or a twentieth of the capacity, whichever is more; a configured 0 switches the
 * reserve off (tikv/tikv:components/server/src/common.rs, `calculate_reserved_space`).
 */
export function reservedBytes(capacity: number, configured: number): number {
  return configured === 0 ? 0 : Math.max(Math.floor(capacity * 0.05), configured);
}

/** A fifth of the reserve is held by a file that may be deleted in need (`reserve_physical_space`, same place). */
export function placeholderBytes(reserved: number): number {
  return Math.floor(reserved / 5);
}

/** At the reserve a store is almost full, at half of it full (same place, `DiskUsageChecker`). */
export function diskUsage(available: number, reserved: number): DiskUsage {
  if (reserved === 0) return "Normal";
  if (available <= Math.floor(reserved / 2)) return "AlreadyFull";
  return available <= reserved ? "AlmostFull" : "Normal";
}

/** What a store may use and what is left of it. @param disk of the file system; @param limit bytes, 0 = none. */
export function diskSizes(
  disk: { readonly totalBytes: number; readonly freeBytes: number },
  limit: number,
  used: number,
): DiskSizes {
  const capacity = limit > 0 ? Math.min(limit, disk.totalBytes) : disk.totalBytes;
  return { capacity, used, available: Math.min(disk.freeBytes, Math.max(0, capacity - used)) };
}
