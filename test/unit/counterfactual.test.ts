import { describe, expect, it } from "vitest";
import { baselineKey, counterfactual, type Baseline } from "../../harness/trial/counterfactual.ts";
import { falseAlarm } from "../../scenarios/control/false-alarm.ts";
import { scenarioSchema } from "../../harness/store/record.ts";
import { act, completedRecord } from "../support/records.ts";

/** Per run: when `client success` and `store_up` held again without an operator; null = not within a minute. */
function baseline(...runs: readonly (readonly [number | null, number | null])[]): Baseline {
  return {
    format: 1,
    key: "0123456789abcdef",
    scenario: "tikv/store-kill",
    engine: "process",
    timeFactor: 0.2,
    subject: "TiKV stand-in",
    runs: runs.map(([clients, store], index) => ({
      id: `r${index}`,
      startedAt: "2026-11-20T09:00:00.000Z",
      seed: index,
      horizonMs: 60_000,
      predicates: [
        { broke: true, recoveredMs: clients },
        { broke: true, recoveredMs: store },
        { broke: false, recoveredMs: 0 },
        { broke: false, recoveredMs: 0 },
      ],
    })),
  };
}

const record = completedRecord();

describe("credit", () => {
  it("goes to the operator for what never comes back without one", () => {
    const runs = baseline([5_000, null], [6_000, null], [5_500, null], [5_800, null], [5_900, null]);
    const { credit, why } = counterfactual(record, runs);
    expect(credit).toBe("operator");
    expect(why).toBe("without an operator: store_up still violated at 60 s (5 of 5 stored runs of 2026-11-20)");
  });

  it("is none where it recovers as soon by itself", () => {
    expect(counterfactual(record, baseline([5_900, 7_000], [6_100, 8_500], [6_000, 8_000])).credit).toBe("none");
  });

  it("needs a difference beyond the spread of the runs without an operator", () => {
    expect(counterfactual(record, baseline([6_000, 12_000], [6_000, 20_000], [6_000, 15_000])).credit).toBe("none");
    expect(counterfactual(record, baseline([6_000, 30_000], [6_000, 31_000], [6_000, 32_000])).credit).toBe("operator");
  });

  it("is not given where only some runs come back alone", () => {
    expect(counterfactual(record, baseline([6_000, 40_000], [6_000, null], [6_000, null])).credit).toBe("none");
  });

  it("is not shown without stored runs, and none where the operator changed nothing", () => {
    expect(counterfactual(record, null).credit).toBe("not-shown");
    const idle = completedRecord({ actions: [act("container_inspect", "read", "tikv1")] });
    expect(counterfactual(idle, baseline([1, null])).credit).toBe("none");
  });
});

it("a control credits nobody, also not for repairing what they broke themselves", () => {
  const control = completedRecord({ scenario: scenarioSchema.parse(falseAlarm) });
  expect(counterfactual(control, null)).toMatchObject({ credit: "none" });
});

it("the key covers build, engine, time factor and scenario, not the seed", () => {
  const { scenario, engine, timeFactor } = record;
  const key = baselineKey({ scenario, engine, timeFactor, build: "b1" });
  expect(baselineKey({ scenario, engine, timeFactor, build: "b2" })).not.toBe(key);
  expect(baselineKey({ scenario, engine: "docker", timeFactor, build: "b1" })).not.toBe(key);
  expect(baselineKey({ scenario, engine, timeFactor: 1, build: "b1" })).not.toBe(key);
  expect(baselineKey({ scenario: { ...scenario, mayTouch: [] }, engine, timeFactor, build: "b1" })).not.toBe(key);
  expect(baselineKey({ scenario, engine, timeFactor, build: "b1" })).toBe(key);
});
