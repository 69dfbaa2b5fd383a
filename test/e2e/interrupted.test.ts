import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readRecord } from "../../harness/store/run-folder.ts";
import { labHome } from "../support/lab-process.ts";
import { processesOf } from "../support/processes-of.ts";

const trial = [
  "run",
  "tikv/store-kill",
  "--engine",
  "process",
  "--time-factor",
  "0.2",
  "--seed",
  "7",
  "--operator",
  "noop",
];

const linux = process.platform === "linux";

test("Ctrl-C in mid-fault heals, stops everything, says so, and the record is void", async () => {
  await using home = await labHome();
  const run = home.run(...trial);
  await run.sees(/ticket #1/);
  // A terminal sends it to the whole group and npm passes it on: twice at once counts once.
  run.child.kill("SIGINT");
  run.child.kill("SIGINT");
  expect(await run.ended).toBe(130);
  expect(run.stdout()).toContain("interrupted: everything was healed and stopped");
  const [folder] = await readdir(home.runs);
  const record = await readRecord(join(home.runs, folder ?? ""));
  expect(record).toMatchObject({ status: "void", voidReason: { code: "interrupted" } });
  expect(await home.instances()).toEqual([]);
  if (linux) expect(await processesOf(home)).toEqual([]);
});

test("after SIGKILL in mid-fault `lab heal` leaves nothing, and a second live run is not touched", async () => {
  await using home = await labHome();
  const victim = home.run(...trial);
  await victim.sees(/ticket #1/);
  const other = home.run("run", "tikv/pd-leader-kill", "--engine", "process", "--time-factor", "0.2", "--seed", "3");
  await other.sees("waiting for the steady state");
  victim.child.kill("SIGKILL");
  await victim.ended;

  const heal = home.run("heal", "--json");
  expect(await heal.ended, heal.stderr()).toBe(0);
  const swept = JSON.parse(heal.stdout()) as { id: string; outcome: string }[];
  expect(swept.map(({ outcome }) => outcome).toSorted()).toEqual(["live", "removed"]);
  expect(await home.instances()).toHaveLength(1);

  expect(await other.ended, other.stdout()).toBe(0);
  expect(await home.instances()).toEqual([]);
  if (linux) expect(await processesOf(home)).toEqual([]);
});

describe.runIf(linux)("killed with SIGKILL in mid-trial", () => {
  /** The process below `folder` whose command line holds the text. */
  async function pidOf(holds: (command: string, parent: string) => boolean): Promise<number> {
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
      const parent = /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""))?.[1] ?? "";
      if (holds(command, parent)) return Number(pid);
    }
    throw new Error("no such process");
  }

  test("the supervisor: the trial is void, nothing is left", async () => {
    await using home = await labHome();
    const run = home.run(...trial);
    await run.sees(/ticket #1/);
    process.kill(
      await pidOf((command) => command.includes("supervisor-main") && command.includes(home.folder)),
      "SIGKILL",
    );
    expect(await run.ended).toBe(5);
    const [folder] = await readdir(home.runs);
    expect(await readRecord(join(home.runs, folder ?? ""))).toMatchObject({
      status: "void",
      voidReason: { code: "engine-unreachable" },
    });
    expect(await home.instances()).toEqual([]);
    expect(await processesOf(home)).toEqual([]);
  });

  test("the operator's program: its session has failed, and the write that it had begun is told", async () => {
    await using home = await labHome();
    const run = home.run(...trial, "--operator", "runbook");
    await run.sees(/operator: container_start tikv/);
    process.kill(
      await pidOf((command, parent) => command.includes("agent/main") && parent === String(run.child.pid)),
      "SIGKILL",
    );
    await run.ended;
    const [folder] = await readdir(home.runs);
    const record = await readRecord(join(home.runs, folder ?? ""));
    expect(record.session).toMatchObject({
      ending: "failed",
      reason: "the operator's program ended in mid-session",
    });
    expect(record.actions.filter(({ tool }) => tool === "container_start")).toHaveLength(1);
    expect(await home.instances()).toEqual([]);
  });
});

test.skipIf(!linux)("an operator that still waits for its ticket does not outlive a lab that was killed", async () => {
  await using home = await labHome();
  const run = home.run(...trial);
  await run.sees(/broke tikv/);
  run.child.kill("SIGKILL");
  await run.ended;
  const heal = home.run("heal");
  expect(await heal.ended, heal.stderr()).toBe(0);
  await waitFor(async () => (await processesOf(home)).length === 0, {
    clock: systemClock,
    timeoutMs: 15_000,
    everyMs: 200,
    what: "every process of the killed lab to end",
  });
});
