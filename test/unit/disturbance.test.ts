import { describe, expect, it } from "vitest";
import { falseAlarm } from "../../scenarios/control/false-alarm.ts";
import { disturbance } from "../../harness/trial/disturbance.ts";
import { scenarioSchema, type TrialRecord } from "../../harness/store/record.ts";
import { completedRecord } from "../support/records.ts";

const { marks } = completedRecord();
const control = scenarioSchema.parse(falseAlarm);

/** In the order of the hypothesis: clients, stores, PD's members, PD's leader. */
function seen(held: TrialRecord["samples"][number]["held"], firstWriteMs: number | null = null): string | null {
  const samples = [
    { atMs: 250, held: [true, true, true, true] },
    { atMs: 3_250, held },
    { atMs: 6_250, held: [true, true, true, true] },
  ];
  return disturbance({ scenario: control, samples, marks: { ...marks, firstWriteMs } });
}

describe("a control is disturbed", () => {
  it("when clients fail though nothing was broken, and says when and what", () => {
    expect(seen([false, true, true, true])).toMatch(/badly off 3\.3 s after .*client success >= 0\.99/);
  });

  it("also when the operator changed something afterwards, but not when it had before", () => {
    expect(seen([false, true, true, true], 5_000)).not.toBeNull();
    expect(seen([false, true, true, true], 2_000)).toBeNull();
  });

  it("not by what the monitor alone believes, nor by what nobody could read", () => {
    expect(seen([true, false, false, false])).toBeNull();
    expect(seen([null, true, true, true])).toBeNull();
  });

  it("and only a control can be", () => {
    expect(disturbance(completedRecord({ marks: { ...marks, firstWriteMs: null } }))).toBeNull();
  });
});
