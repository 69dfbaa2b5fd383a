import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const ANSWERS =
  /^(harness\/(faults|trial|checkers|stats|store|view|cli)|scenarios|test|bench)\/|\/(stand-in|faults|invariants|workload)\//;

/** Every file of ours that a program reaches by imports, whatever the folders in between may say. */
function closure(entry: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(root, file), "utf8");
    for (const [, specifier = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)) {
      const target = relative(root, join(root, dirname(file), specifier));
      if (existsSync(join(root, target))) visit(target);
    }
  };
  visit(entry);
  return seen;
}

/** The other side of the control plane: who serves, checks both planes, keeps the audit, watches. */
const SERVER =
  /^harness\/(panel\/|control\/(main|compose-agent|check-health|audit|queue|proxy|server\/(?!perform|log-cursor|command-report)|watchdog\/(?!settings)))/;

test("the operator's program has the client of the control plane, and nothing of its server", () => {
  const reached = [...closure("harness/agent/main.ts")];
  expect(reached).toContain("harness/control/client/control-client.ts");
  expect(reached.filter((file) => SERVER.test(file))).toEqual([]);
});

test("the operator's program reaches nothing that knows the answer, through no chain of imports", () => {
  const reached = closure("harness/agent/main.ts");
  expect(reached.size).toBeGreaterThan(20);
  expect([...reached].filter((file) => ANSWERS.test(file))).toEqual([]);
});
