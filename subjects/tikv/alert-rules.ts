import { readFileSync } from "node:fs";
import path from "node:path";
import { isScalar, parseDocument, visit } from "yaml";

/** As the configuration names it, beside itself. */
export const RULES_FILE = "tikv.rules.yml";

const SHIPPED = path.join(import.meta.dirname, "docker", RULES_FILE);

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Of an expression: ranges and offsets. */
const IN_EXPRESSION = /(?<=\[|offset |:)(\d+)([smhd])\b/g;
const WHOLE = /^(\d+)([smhd])$/g;

/**
 * The shipped alert rules for a cluster whose timers run by `timeFactor`: what a minute shows on a real one shows in
 * twelve seconds at 0.2. Scales `for`, `keep_firing_for`, `interval`, and ranges and offsets of expressions; thresholds
 * stay.
 */
export function alertRules(timeFactor: number, shipped: string = readFileSync(SHIPPED, "utf8")): string {
  if (timeFactor === 1) return shipped;
  const scaled = (_: string, count: string, unit: string) =>
    `${Math.max(1, Math.round(Number(count) * (UNIT_MS[unit] ?? 0) * timeFactor))}ms`;
  const patterns: Readonly<Record<string, RegExp>> = {
    for: WHOLE,
    keep_firing_for: WHOLE,
    interval: WHOLE,
    expr: IN_EXPRESSION,
  };
  const document = parseDocument(shipped);
  visit(document, {
    Pair: (_, { key, value }) => {
      const pattern = patterns[String(key)];
      if (pattern !== undefined && isScalar(value)) value.value = String(value.value).replace(pattern, scaled);
    },
  });
  return document.toString({ lineWidth: 0 });
}
