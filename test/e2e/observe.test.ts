import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRecord } from "../../harness/store/run-folder.ts";
import { briefScenario } from "../support/brief-scenario.ts";
import { labHome } from "../support/lab-process.ts";

test("in observe mode an operator changes nothing and is judged on its diagnosis alone", async () => {
  await using home = await labHome({ OPERATOR_SAFETY_MODE: "observe" });
  const scenario = await briefScenario("tikv/store-hang", home.folder);
  const run = home.run("run", scenario, "--engine", "process", "--time-factor", "0.2", "--seed", "7");
  expect(await run.ended, run.stdout() + run.stderr()).toBe(0);
  expect(run.stdout()).toMatch(/^observe mode: the diagnosis is right\nPASS$/m);
  const [folder = ""] = (await readdir(home.runs)).filter((name) => name.includes("store-hang"));
  const record = await readRecord(join(home.runs, folder));
  expect(record.operator.mode).toBe("observe");
  expect(record.actions.filter(({ effect, ok }) => effect !== "read" && ok)).toEqual([]);
  // What nobody repaired the lab has healed.
  expect(record.injections.map(({ healedByLab }) => healedByLab)).toEqual([true]);
});
