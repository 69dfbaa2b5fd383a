import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recordSchema } from "../../harness/store/record.ts";
import { labHome, type LabHome } from "../support/lab-process.ts";

interface Waiting {
  readonly id: string;
  readonly tool: string;
  readonly effect: string;
  readonly input: { readonly component: string };
  readonly state: { readonly component: string; readonly status: string };
}

async function out(home: LabHome, ...args: string[]): Promise<string> {
  const run = home.run(...args);
  expect(await run.ended, run.stderr()).toBe(0);
  return run.stdout();
}

test("an approver works an incident with an operator that may only propose: nothing is done before, and waiting was not its time", async () => {
  await using home = await labHome();
  const flags = [
    "--compose-mode",
    "--operator",
    "runbook",
    "--time-factor",
    "0.2",
    "--safety-mode",
    "propose",
    "--baseline",
    "none",
  ];
  const trial = home.run("run", "tikv/store-kill", "--engine", "process", "--seed", "7", ...flags);
  await trial.sees("proposed, waits for a person");
  const found = JSON.parse(await out(home, "approve", "list", "--json")) as readonly Waiting[];
  const [asked] = found.filter(({ tool }) => tool === "container_start");
  if (asked === undefined) throw new Error("nothing waits");
  expect(asked).toMatchObject({ effect: "write", state: { component: asked.input.component, status: "exited" } });
  expect(trial.stdout()).not.toContain(`${asked.input.component}: started`);
  expect(await out(home, "approve", asked.id)).toBe(`approved: container_start ${JSON.stringify(asked.input)}\n`);
  expect(await trial.ended, trial.stdout() + trial.stderr()).toBe(0);

  const folder = /^record: (\S+)$/m.exec(trial.stdout())?.[1] ?? "";
  const record = recordSchema.parse(JSON.parse(await readFile(join(home.folder, folder, "record.json"), "utf8")));
  // The compose-agent would have refused it without the approval.
  expect([record.operator.mode, record.control?.mode, record.grade?.verdict]).toEqual(["propose", "compose", "pass"]);
  const [write, ...more] = record.actions.filter(({ effect }) => effect !== "read");
  expect(more).toEqual([]);
  expect(write).toMatchObject({ tool: "container_start", ok: true });
  expect(record.waitedForPeopleMs).toBeGreaterThan(0);
  expect(trial.stdout()).toContain("people were waited for: ");
});
