import type { Operation, Verdict } from "../protocol.ts";
import { writesByKey } from "./writes.ts";

/**
 * Every read that was answered shows what it may: the value of the key's write if that had begun before the read ended
 * and did not certainly fail; nothing only if the write was not known to be in effect before the read began. A write is
 * known to be in effect once it was acknowledged, or once another read has shown it.
 *
 * Times are compared strictly: operations that touch in time are concurrent, and either order is right.
 */
export function checkReads(history: readonly Operation[]): Verdict {
  const writes = writesByKey(history);
  if (!(writes instanceof Map)) return writes;
  const reads = history.filter((op) => op.kind === "read" && op.outcome === "ok");
  const knownSince = inEffectSince(writes, reads);
  for (const read of reads) {
    const write = writes.get(read.key);
    if (read.value !== null) {
      const possible = write?.value === read.value && write.outcome !== "failed" && write.startedMs <= read.endedMs;
      if (!possible)
        return { verdict: "fail", predicate: "a read shows what was written", witness: { read, write: write ?? null } };
    } else if ((knownSince.get(read.key)?.endedMs ?? Infinity) < read.startedMs) {
      const witness = { read, write, knownBy: knownSince.get(read.key) };
      return { verdict: "fail", predicate: "a read does not miss what is there", witness };
    }
  }
  if (reads.length === 0) return { verdict: "unknown", why: "no read was answered" };
  return { verdict: "pass", checked: reads.length };
}

/** By key, the operation that ended first of those that prove the write. */
function inEffectSince(writes: ReadonlyMap<string, Operation>, reads: readonly Operation[]): Map<string, Operation> {
  const proofs = new Map<string, Operation>();
  const shown = reads.filter((read) => read.value !== null);
  for (const op of [...writes.values()].filter((write) => write.outcome === "ok").concat(shown)) {
    const earlier = proofs.get(op.key);
    if (earlier === undefined || op.endedMs < earlier.endedMs) proofs.set(op.key, op);
  }
  return proofs;
}
