import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

/** What one run of Vitest came to, by title. */
export interface Tally {
  readonly passed: number;
  /** Failed tests, and what failed around tests (a file that does not load, a hook, an error nobody caught), and why. */
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
        ...of("failed").map((test) => `${title(test)} [${why(test)}]`),
        ...modules.flatMap(failedAround),
        ...unhandled.map(({ message }) => `outside of any test: ${inOneLine(message)}`),
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
    ...module.errors().map(({ message }) => `${file}: ${inOneLine(message)}`),
    ...[...module.children.allSuites()].flatMap((suite) =>
      suite.errors().map(({ message }) => `${file}: ${suite.fullName}: ${inOneLine(message)}`),
    ),
  ];
}

function title(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" && result.note !== undefined ? ` [not run here: ${result.note}]` : "";
  return `${test.module.relativeModuleId}: ${test.fullName}${note}`;
}

/** What a test failed with, in the end or, where that went well, at first. */
const why = (test: TestCase): string => inOneLine(test.result().errors?.[0]?.message ?? "not known");

/** Of long messages both ends. */
function inOneLine(message: string): string {
  const text = message.replaceAll(/\s+/g, " ").trim();
  return text.length <= 2 * SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)} … ${text.slice(-SHOWN_CHARS)}`;
}

const SHOWN_CHARS = 400;
