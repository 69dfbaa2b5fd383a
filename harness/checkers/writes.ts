import type { Operation, Verdict } from "../protocol.ts";

/** The one write of each key; `unknown` for a history that breaks the rule on which these checkers rest. */
export function writesByKey(
  history: readonly Operation[],
): Map<string, Operation> | Extract<Verdict, { verdict: "unknown" }> {
  const writes = new Map<string, Operation>();
  for (const op of history) {
    if (op.kind !== "write") continue;
    if (writes.has(op.key)) return { verdict: "unknown", why: `key ${op.key} was written twice` };
    writes.set(op.key, op);
  }
  return writes;
}
