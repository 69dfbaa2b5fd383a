import type { Checker, Operation, Verdict } from "../protocol.ts";

/**
 * The worst part decides: pass < unknown < fail; the first of the worst names the reason. No part at all is `unknown`:
 * nothing was checked.
 */
export function mergeVerdicts(parts: readonly Verdict[]): Verdict {
  const failed = parts.find((part) => part.verdict === "fail");
  if (failed !== undefined) return failed;
  const unknown = parts.find((part) => part.verdict === "unknown");
  if (unknown !== undefined) return unknown;
  if (parts.length === 0) return { verdict: "unknown", why: "nothing was checked" };
  const checked = parts.reduce((sum, part) => sum + (part.verdict === "pass" ? part.checked : 0), 0);
  return { verdict: "pass", checked };
}

/** A checker that throws has found out nothing: `unknown`, never a lost record. */
export function runChecker(
  checker: Checker,
  history: readonly Operation[],
  final: ReadonlyMap<string, string> | null,
): Verdict {
  try {
    return checker(history, final);
  } catch (error) {
    return {
      verdict: "unknown",
      why: `the checker crashed: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}
