import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRecord } from "../../harness/store/run-folder.ts";
import { labHome } from "../support/lab-process.ts";
import { processesOf } from "../support/processes-of.ts";

test.runIf(process.platform === "linux")(
  "a control whose machine stood still is void: neither monitor nor operator is judged by it",
  async () => {
    await using home = await labHome();
    const run = home.run("run", "control/quiet", "--engine", "process", "--time-factor", "0.2", "--operator", "noop");
    await run.sees("nothing is broken in this one");
    const held = (await processesOf(home)).filter(({ command }) => command.startsWith("tikv-server"));
    expect(held).toHaveLength(3);
    for (const { pid } of held) process.kill(pid, "SIGSTOP");
    try {
      await run.sees("of client operations fail");
    } finally {
      for (const { pid } of held) process.kill(pid, "SIGCONT");
    }
    expect(await run.ended).toBe(3);
    const [folder] = await readdir(home.runs);
    expect(await readRecord(join(home.runs, folder ?? ""))).toMatchObject({
      status: "void",
      voidReason: {
        code: "subject-failed",
        message: expect.stringContaining("though nothing had been broken") as string,
      },
      grade: null,
    });
    expect(run.stdout()).toContain("client success >= 0.99");
  },
);
