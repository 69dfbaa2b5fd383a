import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");

test("a packed tarball runs where it is installed, without its sources", async () => {
  const folder = mkdtempSync(join(tmpdir(), "packed-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: root });
  const installed = installWithoutRegistry(folder);
  await run("tar", [
    "xzf",
    join(folder, `agent-lab-${packageJson.version}.tgz`),
    "-C",
    installed,
    "--strip-components=1",
  ]);
  expect(readdirSync(installed)).not.toContain("harness");
  const lab = (...args: string[]) =>
    run(process.execPath, [join(installed, "bin", "lab.mjs"), ...args], { cwd: folder });
  expect((await lab("--version")).stdout).toBe(`${packageJson.version}\n`);
  expect((await lab("scenario", "list")).stdout).toContain("tikv/store-kill");
  const nobody = lab("subject", "check", "tikv", "--pd", "http://127.0.0.1:1");
  await expect(nobody).rejects.toMatchObject({
    code: 8,
    stderr: expect.stringMatching(/^error: PD cannot be asked/) as string,
  });
  // What is no TypeScript and is needed all the same.
  expect(readdirSync(join(installed, "dist/harness/panel/web"))).toEqual(
    expect.arrayContaining(["icon.svg", "page.js", "panel.css", "panel.js"]),
  );
  const recordings = readdirSync(join(installed, "dist/subjects/tikv/check/recordings"), { recursive: true });
  expect(recordings.map(String).sort()).toEqual([
    "README.md",
    "pd-8.5.7",
    "pd-8.5.7/healthy.json",
    "pd-8.5.7/metrics-leader.txt",
    "pd-8.5.7/metrics-pd0.txt",
  ]);
  expect((await lab("ticket", "list", "--json", "--db", join(folder, "tickets.db"))).stdout).toBe("[]\n");
});

/** Its dependencies are the clone's own: what is tested is the package, not the registry. */
function installWithoutRegistry(folder: string): string {
  const modules = join(folder, "node_modules");
  const installed = join(modules, "agent-lab");
  mkdirSync(installed, { recursive: true });
  for (const name of readdirSync(join(root, "node_modules")))
    if (!name.startsWith(".")) symlinkSync(join(root, "node_modules", name), join(modules, name));
  return installed;
}
