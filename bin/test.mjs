// What `npm test` runs, in order; the first failure does not hide the later ones. Steps can be named: `npm test -- unit`.
// The last line stands alone: `N passed, N failed, N skipped`. A check counts as one, as does what fails around tests (a
// hook, a file that does not load); above it everything that failed, was skipped or took two tries is named.
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
const EMPTY = { passed: 0, failed: [], skipped: [], secondTry: [] };
const total = structuredClone(EMPTY);

for (const [name, command] of Object.entries(CHECKS)) {
  if (!wanted(name)) continue;
  heading(name);
  if (run(command) !== 0) {
    total.failed.push(`the check ${name}`);
    continue;
  }
  total.passed++;
  process.stdout.write("ok\n");
}
for (const name of PROJECTS) if (wanted(name)) runProject(name);

list("not run here", total.skipped);
list("passed at the second try", total.secondTry);
list("failed", total.failed);
process.stdout.write(`\n${total.passed} passed, ${total.failed.length} failed, ${total.skipped.length} skipped\n`);
process.exitCode = total.failed.length === 0 ? 0 : 1;

function list(title, lines) {
  if (lines.length === 0) return;
  heading(title);
  for (const line of lines) process.stdout.write(`- ${line}\n`);
}

function runProject(name) {
  heading(name);
  const folder = mkdtempSync(join(tmpdir(), "tally-"));
  const file = join(folder, "tally.json");
  const reporters = ["--reporter=default", "--reporter=./test/support/tally-reporter.ts"];
  const code = run(["vitest", "run", "--project", name, "--passWithNoTests", ...reporters], { TALLY_FILE: file });
  const tally = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : EMPTY;
  rmSync(folder, { recursive: true, force: true });
  total.passed += tally.passed;
  for (const kind of ["failed", "skipped", "secondTry"]) total[kind].push(...tally[kind]);
  if (tally.failed.length === 0 && code !== 0) total.failed.push(`the tests of ${name}: ended with ${code}`);
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
