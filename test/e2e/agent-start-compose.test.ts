import { expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { labHome } from "../support/lab-process.ts";

test("lab agent start --compose-mode: a request by hand as it prints; it ends although its cluster was taken down", async () => {
  await using home = await labHome();
  await using own = await labHome({ HOME: home.folder });
  const done = async (...args: string[]) => {
    const run = own.run(...args);
    expect(await run.ended, run.stderr()).toBe(0);
    return run.stdout();
  };
  try {
    await done("subject", "up", "tikv", "--engine", "process");
    const agent = own.run("agent", "start", "--compose-mode", "--db", `${own.folder}/tickets.db`);
    let code: number | null | undefined;
    void agent.ended.then((ended) => (code = ended));
    const until = (what: string, check: () => boolean) =>
      waitFor(async () => check(), { clock: systemClock, timeoutMs: 60_000, everyMs: 100, what });
    await until("its start", () => code !== undefined || agent.stderr().includes("a request by hand"));
    const printed = /^a request by hand: (.*) npx lab control call list$/m.exec(agent.stderr())?.[1] ?? "";
    const where = Object.fromEntries(printed.split(" ").map((pair) => pair.split("=")));
    await using hand = await labHome(where);
    const call = hand.run("control", "call", "list");
    expect(await call.ended, call.stderr()).toBe(0);
    expect(call.stdout()).toContain("tikv1");

    await done("subject", "down", "tikv");
    agent.child.kill("SIGTERM");
    await until("its end", () => code !== undefined);
    expect(code, agent.stderr()).not.toBeNull();
  } finally {
    await own.run("subject", "down", "tikv").ended;
  }
}, 180_000);
