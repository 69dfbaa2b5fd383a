import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test, vi } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { readRecord } from "../../harness/store/run-folder.ts";
import { labHome, type LabHome } from "../support/lab-process.ts";
import { processesOf, type SeenProcess } from "../support/processes-of.ts";

const linux = process.platform === "linux";
const trial = [
  "run",
  "tikv/store-kill",
  "--engine",
  "process",
  "--time-factor",
  "0.2",
  "--seed",
  "7",
  "--compose-mode",
];

/** What a killed or ended run may leave outside of its records: nothing. */
async function nothingIsLeft(home: LabHome): Promise<void> {
  expect(await home.instances()).toEqual([]);
  expect(await readdir(join(home.folder, "xdg")).catch(() => [])).toEqual([]);
}

// A shared machine may be many times slower than a quiet one.
vi.setConfig({ testTimeout: 400_000 });

test("the demo in compose mode: all commands went through the compose-agent, and the audit is intact", async () => {
  await using home = await labHome();
  const demo = home.run("demo", "--compose-mode");
  await demo.sees(/status panel: http:\/\/127\.0\.0\.1:\d+ \(user oncall, password in /);
  await demo.sees("an operator works the ticket");
  if (linux) {
    const programs = await processesOf(home);
    const of = (name: string) => programs.find(({ command }) => command.includes(name))?.variables ?? {};
    const [agent, sidecar, panel] = [of("agent/main"), of("control/main"), of("panel/main")];
    // The supervisor's socket is told to the compose-agent alone.
    expect(sidecar["ENGINE"]).toMatch(/^unix:.*engine\.sock$/);
    expect(agent["ENGINE"]).toMatch(/^control:http:\/\/127\.0\.0\.1:\d+$/);
    expect(JSON.stringify([agent, panel])).not.toContain("engine.sock");
    // Each program is handed the folder of its own plane's token.
    const tokensOf = (variables: SeenProcess["variables"]) => readdir(variables["TOKEN_DIR"] ?? "");
    expect(await tokensOf(agent)).toEqual(["compose_agent"]);
    expect(await tokensOf(panel)).toEqual(["status_panel"]);
  }
  expect(await demo.ended, demo.stdout() + demo.stderr()).toBe(0);
  expect(demo.stdout()).toMatch(/^control plane: commands \d+ by compose_agent, 0 by status_panel: \d+ ok$/m);
  expect(demo.stdout()).toMatch(/^audit: intact, \d+ lines verified$/m);

  const folder = resolve(home.folder, /^record: (.*)$/m.exec(demo.stdout())?.[1] ?? "");
  const { control, actions, grade } = await readRecord(folder);
  expect(grade?.verdict).toBe("pass");
  expect(control).toMatchObject({ mode: "compose", plane: "compose_agent", audit: { intact: true } });
  expect(await readdir(join(folder, "control")), "no token is kept").toEqual([
    "audit",
    "audit-anchor",
    "audit-key",
    "queue",
  ]);

  const verified = home.run("audit", "verify", folder, "--json");
  expect(await verified.ended, verified.stdout()).toBe(0);
  const [report] = JSON.parse(verified.stdout()) as { intents: number; open: number[]; byPlane: object }[];
  expect(report).toMatchObject({ open: [], byPlane: control?.commands ?? {} });
  const shown = home.run("audit", "show", folder, "--json");
  expect(await shown.ended).toBe(0);
  const records = shown
    .stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const started = records.filter(({ kind, command }) => kind === "intent" && command === "start");
  const acted = actions.filter(({ tool, ok }) => tool === "container_start" && ok);
  expect(started.map(({ target }) => target)).toEqual(acted.map(({ target }) => target));
  expect(started[0]).toMatchObject({ plane: "compose_agent", caller: "operator", incident: expect.any(String) });
  await nothingIsLeft(home);
});

test("Ctrl-C in mid-trial ends compose-agent and panel with the rest; the audit so far is in the record's folder", async () => {
  await using home = await labHome();
  const run = home.run(...trial, "--operator", "noop");
  await run.sees(/broke tikv/);
  run.child.kill("SIGINT");
  expect(await run.ended).toBe(130);
  await nothingIsLeft(home);
  if (linux) expect(await processesOf(home)).toEqual([]);
  const [folder = ""] = await readdir(home.runs);
  const verified = home.run("audit", "verify", join(home.runs, folder));
  expect(await verified.ended, verified.stdout()).toBe(0);
});

test("after SIGKILL in mid-trial `lab heal` leaves neither program nor token", async () => {
  await using home = await labHome();
  const run = home.run(...trial, "--operator", "noop");
  await run.sees(/broke tikv/);
  run.child.kill("SIGKILL");
  await run.ended;
  const heal = home.run("heal");
  expect(await heal.ended, heal.stderr()).toBe(0);
  await nothingIsLeft(home);
  const [folder = ""] = await readdir(home.runs);
  expect(await readdir(join(home.runs, folder, "control"))).not.toContain("tokens");
  if (linux)
    await waitFor(async () => (await processesOf(home)).length === 0, {
      clock: systemClock,
      timeoutMs: 15_000,
      everyMs: 200,
      what: "every process of the killed run to end",
    });
});
