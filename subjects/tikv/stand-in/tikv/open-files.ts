import { readFileSync } from "node:fs";

/** Beside the engines' files (tikv/tikv:components/server/src/common.rs). */
const RESERVED = 1_000;
/** CAP_SYS_RESOURCE: who has it may raise its own limit. */
const MAY_RAISE = 1n << 24n;

/** How many files a store wants to be able to open. */
export function neededFiles(config: { number(path: string): number }): number {
  return RESERVED + config.number("rocksdb.max-open-files") + config.number("raftdb.max-open-files");
}

/** Why there are too few, in TiKV's words; null = there are enough, or the system (not Linux) does not say. */
export function tooFewFiles(needed: number, limit: number): string | null {
  if (limit >= needed) return null;
  return `the maximum number of open file descriptors is too small, got ${limit}, expect greater or equal to ${needed}`;
}

/** Files that this process may open, after raising its limit as far as it may. */
export function filesAllowed(): number {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    if ((BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`) & MAY_RAISE) !== 0n) return Infinity;
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return hard === undefined || hard === "unlimited" ? Infinity : Number(hard);
  } catch {
    return Infinity;
  }
}
