import type { Operation, Verdict } from "../protocol.ts";
import { writesByKey } from "./writes.ts";

/**
 * Every acknowledged write is there at the end, so is every value that a read has shown, and nothing is there that
 * nobody wrote.
 *
 * Each key is written at most once, so the order of operations does not matter. A write with an unknown outcome may or
 * may not be there. `final` is the state read after healing, absent keys left out; null means that it could not be read.
 */
export function checkAcknowledgedWrites(
  history: readonly Operation[],
  final: ReadonlyMap<string, string> | null,
): Verdict {
  const writes = writesByKey(history);
  if (!(writes instanceof Map)) return writes;
  if (final === null) return { verdict: "unknown", why: "the final state could not be read" };
  const lost = lostWrites(history, final)[0];
  if (lost !== undefined) {
    const witness = { write: lost, found: final.get(lost.key) ?? null };
    return { verdict: "fail", predicate: "acknowledged write is present", witness };
  }
  for (const read of history) {
    if (read.kind !== "read" || read.outcome !== "ok" || read.value === null) continue;
    if (final.get(read.key) !== read.value) {
      const witness = { read, found: final.get(read.key) ?? null };
      return { verdict: "fail", predicate: "value that was read is present", witness };
    }
  }
  for (const [key, value] of final) {
    const write = writes.get(key);
    if (write === undefined || write.value !== value || write.outcome === "failed")
      return {
        verdict: "fail",
        predicate: "nothing present that was not written",
        witness: { key, value, write: write ?? null },
      };
  }
  const { acknowledged } = countWrites(history, final);
  if (acknowledged === 0) return { verdict: "unknown", why: "no write was acknowledged, so none could be lost" };
  return { verdict: "pass", checked: acknowledged };
}

/** For people: how many writes were acknowledged, and how many of them are not there. `lost` null = not known. */
export function countWrites(
  history: readonly Operation[],
  final: ReadonlyMap<string, string> | null,
): { acknowledged: number; lost: number | null } {
  const acknowledged = history.filter((op) => op.kind === "write" && op.outcome === "ok").length;
  return { acknowledged, lost: final === null ? null : lostWrites(history, final).length };
}

function lostWrites(history: readonly Operation[], final: ReadonlyMap<string, string>): Operation[] {
  return history.filter((op) => op.kind === "write" && op.outcome === "ok" && final.get(op.key) !== op.value);
}
