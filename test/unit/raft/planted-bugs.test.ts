import { describe, expect, it } from "vitest";
import { SCHEDULES_OF_A_THEME, SCHEDULES_TIMEOUT_MS } from "../../support/raft/hold-schedules.ts";
import { PLANTED_BUGS } from "../../support/raft/planted-bugs.ts";
import { report, runReturn, runSchedule } from "../../support/raft/sim-schedule.ts";

const RETURNS = 200;

describe("planted bugs", { timeout: SCHEDULES_TIMEOUT_MS }, () => {
  for (const [name, { theme, plant, caughtBy }] of Object.entries(PLANTED_BUGS))
    it(`are caught by name, where the correct code passes: ${name}`, async () => {
      for (let number = 0; number < SCHEDULES_OF_A_THEME; number++) {
        const { broken } =
          theme === "return"
            ? await runReturn(`${number}`, plant())
            : await runSchedule(theme, `${number}`, { mischief: plant() });
        if (broken === null || !caughtBy.includes(broken.check)) continue;
        process.stdout.write(`${name}: schedule ${theme}/${number}, ${broken.message}\n`);
        return;
      }
      expect.fail(`${name} is not caught`);
    });

  it("are not what deposes a leader when a member comes back (pre-vote)", async () => {
    for (let number = 0; number < RETURNS; number++) expect((await runReturn(`${number}`)).broken).toBeNull();
  });
});

describe("a failing schedule", { timeout: SCHEDULES_TIMEOUT_MS }, () => {
  it("is told with its seed, what it broke, and no more trouble than it takes", async () => {
    const plant = PLANTED_BUGS["acknowledge-uncommitted"]?.plant() ?? null;
    const failed = await runSchedule("mixed", "0", { mischief: plant });
    const told = await report(failed, plant);
    expect(failed.plan.length).toBeGreaterThan(0);
    expect(told).toMatch(/^schedule mixed\/0: linearizability: [^\n]*\nsmallest plan:\ntrace:\n/u);
    expect(told).toContain("-- everything heals");
  });

  it("is the same every time it runs", async () => {
    const [first, second] = [
      await runSchedule("mixed", "7", { traced: true }),
      await runSchedule("mixed", "7", { traced: true }),
    ];
    expect(first.stats).toEqual(second.stats);
    expect(first.trace).toEqual(second.trace);
  });
});
