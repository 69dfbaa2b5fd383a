/**
 * Where the first region is cut so that keys `k` + hex digits (the workload's) fall evenly into so many regions; any
 * other key falls into the first or the last one. Hex, in order.
 */
export function initialSplitKeys(regions: number): string[] {
  const keys: string[] = [];
  for (let part = 1; part < regions; part++) {
    const digits = Math.floor((part * 256) / regions)
      .toString(16)
      .padStart(2, "0");
    const text = regions <= 16 ? `k${digits[0]}` : `k${digits}`;
    keys.push(Buffer.from(text).toString("hex"));
  }
  return keys;
}
