import { expect, test } from "vitest";
import { labHome } from "../support/lab-process.ts";

test("when nobody reads the output any more, a run heals, stops everything and leaves", async () => {
  await using home = await labHome();
  const run = home.run("run", "tikv/store-kill", "--engine", "process", "--time-factor", "0.2", "--operator", "noop");
  await run.sees("waiting for the steady state");
  run.child.stdout?.destroy();
  expect(await run.ended).toBe(130);
  expect(await home.instances()).toEqual([]);
});
