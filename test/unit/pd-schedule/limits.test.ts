import { describe, expect, test } from "vitest";
import { ManualClock } from "../../support/manual-clock.ts";
import { checkStoreVersion, lowestVersion } from "../../../subjects/tikv/stand-in/pd/cluster-version.ts";
import { limitUses, StoreLimits } from "../../../subjects/tikv/stand-in/pd/schedule/store-limits.ts";
import { initialState } from "../../../subjects/tikv/stand-in/pd/state.ts";
import {
  demandNotTemporary,
  demandSupported,
  effectiveSchedule,
  expiredItems,
  temporaryItems,
  temporaryLimit,
} from "../../../subjects/tikv/stand-in/pd/temporary-config.ts";
import { viewOf } from "../../support/pd-scene.ts";

describe("store limits", () => {
  const use = { storeId: 1, type: "add-peer", cost: 1_000 } as const;

  test("15 a minute: one at once, the next after four seconds", async () => {
    const clock = new ManualClock();
    const limits = new StoreLimits(clock, 1);
    expect(limits.isOpen(1, "add-peer", 15)).toBe(true);
    limits.take(use, 15);
    expect(limits.isOpen(1, "add-peer", 15)).toBe(false);
    await clock.advance(3_900);
    expect(limits.affords(use, 15)).toBe(false);
    await clock.advance(200);
    expect(limits.affords(use, 15)).toBe(true);
    expect(limits.isOpen(1, "remove-peer", 15)).toBe(true);
  });

  test("what it costs is the region's size: nothing to 1 MiB, a fifth to 20 MiB", () => {
    const region = (approximateSize: number) =>
      viewOf({ stores: [1], regions: [{ voters: [1], approximateSize }] }).regions[0] ?? expect.fail();
    const steps = [
      { kind: "add-learner", storeId: 4, peerId: 9 },
      { kind: "remove-peer", storeId: 1, peerId: 8 },
    ] as const;
    expect(limitUses(steps, region(1))).toEqual([]);
    expect(limitUses(steps, region(20)).map(({ cost }) => cost)).toEqual([200, 200]);
    expect(limitUses(steps, region(96))).toEqual([
      { storeId: 4, type: "add-peer", cost: 1_000 },
      { storeId: 1, type: "remove-peer", cost: 1_000 },
    ]);
  });
});

describe("settings for a while", () => {
  const state = { ...initialState([]) };
  const set = (items: Record<string, unknown>, seconds = 60) => ({
    ...state,
    temporary: temporaryItems(items, seconds, 0, 1) as never,
  });

  test("count while they last, and hold off lasting ones", () => {
    const short = set({ "schedule.region-schedule-limit": 0, "add-peer-7": 100 });
    expect(effectiveSchedule(short, 59_000)["region-schedule-limit"]).toBe(0);
    expect(effectiveSchedule(short, 60_000)["region-schedule-limit"]).toBe(2_048);
    expect(temporaryLimit(short, 7, "add-peer", 1)).toBe(100);
    expect(temporaryLimit(short, 8, "add-peer", 1)).toBeUndefined();
    expect(() => demandNotTemporary(short, "region-schedule-limit", 1)).toThrow(
      "need to clean up TTL first for schedule.region-schedule-limit",
    );
    expect(expiredItems(short, 60_000)).toEqual({ "schedule.region-schedule-limit": null, "add-peer-7": null });
  });

  test("only those that PD knows how to set so", () => {
    expect(() => demandSupported({ "schedule.region-schedule-limit": 1, "default-add-peer": 3 })).not.toThrow();
    expect(() => demandSupported({ "schedule.max-store-down-time": "1m" })).toThrow(
      "unsupported ttl config schedule.max-store-down-time",
    );
  });
});

test("a store of an older minor version is refused, one of a newer is not", () => {
  expect(checkStoreVersion("8.5.7", "4", "8.5.1")).toBeNull();
  expect(checkStoreVersion("8.5.7", "4", "9.0.0")).toBeNull();
  expect(checkStoreVersion("8.5.7", "4", "8.4.0")).toBe("version should compatible with version  8.5.7, got 8.4.0");
  expect(checkStoreVersion("8.5.7", "4", "new")).toBe("invalid put store 4, error: new is not in dotted-tri format");
  expect(lowestVersion({ ...initialState([]), clusterVersion: "8.5.7" })).toBe("8.5.7");
});
