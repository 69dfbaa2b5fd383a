import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

/** What one run of Vitest came to, by title. */
export interface Tally {
  readonly passed: number;
  /** Failed tests, and what failed around tests (a file that does not load, a hook, an error nobody caught), one each. */
  readonly failed: readonly string[];
  /** With the reason. */
  readonly skipped: readonly string[];
  /** Of the passed: those that had failed once before (`retry`, CI only), and why. */
  readonly secondTry: readonly string[];
}

/** Writes the `Tally` to TALLY_FILE, for `bin/test.mjs`. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const of = (state: string) => tests.filter((test) => test.result().state === state);
    const tally: Tally = {
      passed: of("passed").length,
      failed: [
        ...of("failed").map(title),
        ...modules.flatMap(failedAround),
        ...unhandled.map((error) => `outside of any test: ${error.message}`),
      ],
      skipped: of("skipped").map(title),
      secondTry: of("passed")
        .filter((test) => (test.diagnostic()?.retryCount ?? 0) > 0)
        .map((test) => `${title(test)} [first: ${why(test)}]`),
    };
    const file = process.env["TALLY_FILE"];
    if (file !== undefined) writeFileSync(file, JSON.stringify(tally));
  }
}

function failedAround(module: TestModule): string[] {
  const file = module.relativeModuleId;
  return [
    ...module.errors().map(({ message }) => `${file}: ${message}`),
    ...[...module.children.allSuites()].flatMap((suite) =>
      suite.errors().map(({ message }) => `${file}: ${suite.fullName}: ${message}`),
    ),
  ];
}

function title(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" && result.note !== undefined ? ` [not run here: ${result.note}]` : "";
  return `${test.module.relativeModuleId}: ${test.fullName}${note}`;
}

/** What a test that passed in the end had failed with; of long messages both ends. */
function why(test: TestCase): string {
  const [error] = test.result().errors ?? [];
  const text = (error?.message ?? "not known").replaceAll(/\s+/g, " ");
  return text.length <= 2 * SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)} … ${text.slice(-SHOWN_CHARS)}`;
}

const SHOWN_CHARS = 400;
