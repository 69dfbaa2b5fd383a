import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "../../bin/lab.mjs");

test("the embedded cluster passes, by its own command", async () => {
  const home = mkdtempSync(join(tmpdir(), "check-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const env = { ...process.env, HOME: home, XDG_STATE_HOME: join(home, "state") };
  const { stdout } = await run(process.execPath, [MAIN, "subject", "check", "tikv"], { env });
  expect(stdout).toMatch(/^3 members, 195 answers compared, 0 differ \(0\.0 %\)/);
});
