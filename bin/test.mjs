// What `npm test` runs, in order; the first failure does not hide the later ones. Steps can be named: `npm test -- unit`.
// The last line stands alone: `N passed, N failed, N skipped`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { root } from "./toolchain.mjs";

const CHECKS = {
  format: ["prettier", "--check", "--log-level=warn", "."],
  lint: ["oxlint", "--quiet"],
  types: ["tsc", "-p", "."],
  cycles: ["oxlint", "--quiet", "-A", "all", "-D", "import/no-cycle", "--import-plugin", "--disable-nested-config"],
  deadcode: ["knip", "--no-progress"],
};
const PROJECTS = ["unit", "contract", "integration", "e2e"];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in CHECKS) && !PROJECTS.includes(name));
if (unknown.length > 0) {
  process.stderr.write(
    `error: no step ${unknown.join(", ")}; there are ${[...Object.keys(CHECKS), ...PROJECTS].join(", ")}\n`,
  );
  process.exit(2);
}
const wanted = (name) => asked.length === 0 || asked.includes(name);
const total = { passed: 0, failed: 0, skipped: [] };

for (const [name, command] of Object.entries(CHECKS)) {
  if (!wanted(name)) continue;
  heading(name);
  const ok = run(command) === 0;
  total[ok ? "passed" : "failed"]++;
  if (ok) process.stdout.write("ok\n");
}
for (const name of PROJECTS) if (wanted(name)) runProject(name);

if (total.skipped.length > 0) {
  heading("not run here");
  for (const title of total.skipped) process.stdout.write(`- ${title}\n`);
}
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped.length} skipped\n`);
process.exitCode = total.failed === 0 ? 0 : 1;

function runProject(name) {
  heading(name);
  const folder = mkdtempSync(join(tmpdir(), "tally-"));
  const file = join(folder, "tally.json");
  const reporters = ["--reporter=default", "--reporter=./test/support/tally-reporter.ts"];
  const code = run(["vitest", "run", "--project", name, "--passWithNoTests", ...reporters], { TALLY_FILE: file });
  const tally = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { passed: 0, failed: 0, skipped: [] };
  rmSync(folder, { recursive: true, force: true });
  total.passed += tally.passed;
  // A run that broke without a failed test (an unhandled error, a file that does not load) has failed all the same.
  total.failed += tally.failed === 0 && code !== 0 ? 1 : tally.failed;
  total.skipped.push(...tally.skipped);
}

function run([program, ...args], env = {}) {
  const path = [join(root, "node_modules", ".bin"), dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
  const { status, signal, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env, PATH: path },
  });
  if (error !== undefined) process.stderr.write(`${program}: ${error.message}\n`);
  // Ctrl-C ends all steps, not only this one.
  if (signal === "SIGINT" || signal === "SIGTERM") process.exit(130);
  return status ?? 1;
}

function heading(name) {
  process.stdout.write(`\n== ${name}\n`);
}
