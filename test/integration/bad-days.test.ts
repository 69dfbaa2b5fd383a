import { mkdir, mkdtempDisposable, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { labHome } from "../support/lab-process.ts";

/** Runs it to its end; nothing may stay below the state folder. */
async function badDay(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using place = await mkdtempDisposable(join(tmpdir(), "person-"));
  await using home = await labHome({ HOME: place.path, ...env });
  await writeFile(join(home.folder, "file"), "");
  const run = home.run(...args);
  const code = await run.ended;
  return { code, out: run.stdout(), err: run.stderr(), instances: await home.instances() };
}

const oracle = ["--operator", "oracle", "--engine", "process"];

describe("no Docker engine", () => {
  const env = { DOCKER_HOST: "unix:///nonexistent" };
  const sentence = /error: no Docker engine answers.*: start Docker Desktop or `sudo systemctl start docker`/;
  test.each([
    [["subject", "up", "tikv", "--engine", "docker"]],
    [["agent", "up"]],
    [["agent", "down"]],
    [["agent", "logs"]],
    [["monitor", "run", "--attach", "prod", "--once"]],
  ])("%j says what to start, code 5", async (args) => {
    const { code, err, instances } = await badDay(args, env);
    expect(err).toMatch(sentence);
    expect({ code, instances }).toEqual({ code: 5, instances: [] });
  });

  test("a trial is void for it, with the same code", async () => {
    const { code, out } = await badDay(["run", "tikv/store-kill", "--engine", "docker"], env);
    expect(out).toMatch(/VOID: no Docker engine answers/);
    expect(code).toBe(5);
  });
});

test("an image that is neither here nor to be pulled is named, code 5", async ({ skip }) => {
  const { code, err } = await badDay(["subject", "up", "tikv", "--engine", "docker"], {
    PD_IMAGE: "registry.invalid/nobody/pd:1",
  });
  skip(/no Docker engine|no permission/.test(err), "needs a Docker engine");
  expect(err).toMatch(/^error: .*registry\.invalid\/nobody\/pd:1/m);
  expect(code).toBe(5);
});

test("records below something that is no folder: one sentence, nothing started", async () => {
  const { code, err, instances } = await badDay(["run", "tikv/store-kill", ...oracle, "--runs", "file"]);
  expect(err).toMatch(
    /^error: cannot make .*\/file\/.* for the record \(ENOTDIR\); name a folder of yours with --runs\n$/,
  );
  expect({ code, instances }).toEqual({ code: 8, instances: [] });
});

test("a state folder that cannot be used: one sentence", async () => {
  await using home = await labHome();
  await mkdir(join(home.folder, "state"));
  await writeFile(join(home.folder, "state", "instances"), "");
  const run = home.run("run", "tikv/store-kill", ...oracle);
  expect(await run.ended).toBe(8);
  expect(run.stderr()).toMatch(/^error: cannot use .* \(ENOTDIR\): .*set AGENT_LAB_HOME to another folder\n$/);
  expect(await readdir(home.folder)).toEqual(["state"]);
});

test.runIf(process.platform === "linux").each([
  [["ticket", "list", "--db", "/proc/a/b.db"], 7],
  [["run", "tikv/store-kill", ...oracle, "--runs", "/proc/a/runs"], 8],
])("%j, where nothing can be made, ends with one sentence", async (args, wanted) => {
  const { code, err } = await badDay(args);
  expect(err).toMatch(/^error: .*\/proc\/a.*\(ENOENT\).*\n$/);
  expect(code).toBe(wanted);
});

test.each([
  [["session", "list", "--ticket", "x"], /a ticket's number, e.g. 3/],
  [["doctor", "--operator", "frob"], /Allowed choices are claude/],
])("%j is refused, code 2", async (args, sentence) => {
  const { code, err } = await badDay(args);
  expect(err).toMatch(sentence);
  expect(code).toBe(2);
});

test("`subject up` twice at once: one starts, the other says who is at it, code 6", async () => {
  await using home = await labHome();
  const up = () => home.run("subject", "up", "tikv", "--engine", "process", "--json");
  const runs = [up(), up()];
  const codes = await Promise.all(runs.map(({ ended }) => ended));
  const down = home.run("subject", "down", "tikv");
  const downCode = await down.ended;
  expect({ codes: codes.toSorted(), downCode }, runs.map((run) => run.stderr()).join("")).toEqual({
    codes: [0, 6],
    downCode: 0,
  });
  expect(runs.map((run) => run.stderr()).join("")).toMatch(/error: (another `lab subject up tikv`|it is up)/);
  expect(await home.instances()).toEqual([]);
});
