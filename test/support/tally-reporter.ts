import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Writes what passed, failed and was skipped (with the reason) to TALLY_FILE, for `bin/test.mjs`. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const of = (state: string) => tests.filter((test) => test.result().state === state);
    const tally = { passed: of("passed").length, failed: of("failed").length, skipped: of("skipped").map(title) };
    const file = process.env["TALLY_FILE"];
    if (file !== undefined) writeFileSync(file, JSON.stringify(tally));
  }
}

function title(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" && result.note !== undefined ? ` [not run here: ${result.note}]` : "";
  return `${test.module.relativeModuleId}: ${test.fullName}${note}`;
}
