import { describe, expect, it } from "vitest";
import { ScheduleTally, SCHEDULES_TIMEOUT_MS } from "../../support/raft/hold-schedules.ts";

const tally = new ScheduleTally();

describe("simulated groups keep every promise and serve again in peace", { timeout: SCHEDULES_TIMEOUT_MS }, () => {
  for (const theme of ["mixed", "elections", "leases"] as const)
    it(`in schedules about ${theme}`, async () => {
      await tally.hold(theme);
    });

  it("through every kind of trouble, (leaders)", () => {
    expect.assertions(1);
    tally.expectEveryKind();
  });
});
