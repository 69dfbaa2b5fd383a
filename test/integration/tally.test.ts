import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposable, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Tally } from "../support/tally-reporter.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const REPORTER = join(ROOT, "test/support/tally-reporter.ts");

test("the tally counts each thing once and names what failed, was skipped or took a second try", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "tally-"));
  const file = join(folder.path, "tally.json");
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const args = ["run", "--root", join(ROOT, "test/support/tally-cases"), "--retry=1", `--reporter=${REPORTER}`];
  const run = spawn(process.execPath, [vitest, ...args], {
    env: { ...process.env, TALLY_FILE: file },
    stdio: "ignore",
  });
  expect(await once(run, "close")).toEqual([1, null]);
  const { failed, ...tally } = JSON.parse(await readFile(file, "utf8")) as Tally;
  expect(tally).toEqual({
    passed: 2,
    skipped: [
      "cases.test.ts: has no engine [not run here: needs an engine]",
      "cases.test.ts: a suite whose hook fails > is not run",
    ],
    secondTry: ["cases.test.ts: passes at the second try [first: expected 1 to be 2 // Object.is equality]"],
  });
  expect(failed.toSorted()).toEqual([
    "cases.test.ts: a suite whose hook fails: no cluster",
    "cases.test.ts: fails [expected 1 to be 2 // Object.is equality]",
    "does-not-load.test.ts: not to be loaded",
  ]);
});
