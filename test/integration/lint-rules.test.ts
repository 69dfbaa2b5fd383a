import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, afterAll, expect, test } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "lint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** File, what is wrong in it, and the rule that must say so. */
const BAD: readonly (readonly [file: string, code: string, rule: string])[] = [
  ["harness/trial/a.ts", "async function heal() {}\nheal();", "no-floating-promises"],
  [
    "harness/trial/b.ts",
    'export function f(x: "a" | "b") { switch (x) { case "a": return 1; } return 2; }',
    "switch-exhaustiveness-check",
  ],
  ["harness/trial/c.ts", "export const at = Date.now();", "no-restricted-properties"],
  ["harness/trial/d.ts", "export const draw = Math.random();", "no-restricted-properties"],
  ["tickets/e.ts", "export const t = setTimeout(() => {}, 1);", "no-restricted-globals"],
  ["harness/trial/f.ts", 'import Docker from "dockerode";\nexport const d = new Docker();', "no-restricted-imports"],
  ["harness/trial/g.ts", "export default 1;", "no-default-export"],
  ["harness/trial/h.ts", 'console.log("x");', "no-console"],
  ["harness/store/i.ts", 'import { j } from "./j.ts";\nexport const i = () => j;', "no-cycle"],
  ["harness/store/j.ts", 'import { i } from "./i.ts";\nexport const j = () => i;', "no-cycle"],
  ["harness/trial/k.ts", "export const k = (x?: string) => x!;", "no-non-null-assertion"],
];

/** Folder, and an import that the table forbids it. */
const FORBIDDEN: readonly (readonly [file: string, target: string])[] = [
  ["harness/agent/a.ts", "../faults/kill.ts"],
  ["harness/agent/tools/b.ts", "../../trial/oracle.ts"],
  ["harness/agent/c.ts", "../checkers/index.ts"],
  ["harness/agent/operators/claude/d.ts", "../../../../scenarios/index.ts"],
  ["harness/agent/e.ts", "../../subjects/tikv/invariants/index.ts"],
  ["harness/agent/f.ts", "../../subjects/tikv/stand-in/pd-main.ts"],
  ["subjects/tikv/kit/g.ts", "../../../harness/faults/kill.ts"],
  ["subjects/tikv/kit/tools/h.ts", "../../stand-in/pd-main.ts"],
  ["harness/base/i.ts", "../engine/labels.ts"],
  ["harness/engine/j.ts", "../trial/run-trial.ts"],
  ["harness/engine/process/k.ts", "../../faults/kill.ts"],
  ["harness/faults/l.ts", "../../tickets/index.ts"],
  ["harness/monitor/m.ts", "../engine/labels.ts"],
  ["harness/checkers/n.ts", "../store/record.ts"],
  ["harness/stats/o.ts", "../checkers/index.ts"],
  ["harness/trial/p.ts", "../agent/work.ts"],
  ["harness/trial/q.ts", "../../subjects/tikv/observe.ts"],
  ["harness/view/r.ts", "../trial/grade.ts"],
  ["scenarios/tikv/s.ts", "../../harness/faults/kill.ts"],
  ["tickets/t.ts", "../harness/engine/labels.ts"],
  ["subjects/tikv/u.ts", "../../harness/trial/grade.ts"],
  ["harness/panel/v.ts", "../engine/labels.ts"],
  ["harness/panel/web/w.ts", "../../../tickets/index.ts"],
];

/** What the table allows and nobody may lose. */
const ALLOWED: readonly (readonly [file: string, target: string])[] = [
  ["harness/agent/ok1.ts", "../../tickets/index.ts"],
  ["harness/agent/ok2.ts", "../../subjects/tikv/kit/index.ts"],
  ["harness/trial/ok3.ts", "../faults/kill.ts"],
  ["scenarios/ok4.ts", "./control/quiet.ts"],
  ["harness/cli/ok5.ts", "../trial/run-trial.ts"],
  ["tickets/ok6.ts", "../harness/base/clock.ts"],
  ["harness/panel/ok7.ts", "../control/contract.ts"],
];

const report = z.object({ diagnostics: z.array(z.object({ code: z.string().optional(), filename: z.string() })) });
let found: ReadonlyMap<string, readonly string[]>;

beforeAll(() => {
  for (const file of ["oxlint.config.ts", "tsconfig.json"]) cpSync(join(root, file), join(folder, file));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const [file, code] of BAD) write(file, code);
  for (const [file, target] of [...FORBIDDEN, ...ALLOWED]) write(file, `import "${target}";`);
  const bin = join(root, "node_modules", "oxlint", "bin", "oxlint");
  const { stdout } = spawnSync(process.execPath, [bin, "--format=json"], { cwd: folder, encoding: "utf8" });
  const byFile = new Map<string, string[]>();
  for (const { code = "", filename } of report.parse(JSON.parse(stdout)).diagnostics)
    byFile.set(filename, [...(byFile.get(filename) ?? []), code]);
  found = byFile;
});

test.each(BAD)("%s: the linter objects to %j by %s", (file, _code, rule) => {
  expect(found.get(file)).toContainEqual(expect.stringContaining(`(${rule})`));
});

test.each(FORBIDDEN)("%s may not import %s", (file) => {
  expect(found.get(file)).toContainEqual(expect.stringContaining("(no-restricted-imports)"));
});

test.each(ALLOWED)("%s may import %s", (file) => {
  expect(found.get(file) ?? []).toEqual([]);
});

function write(file: string, code: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), `${code}\n`);
}
