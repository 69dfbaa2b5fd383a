import { describe, expect, it } from "vitest";
import { fullStores, type DiskOfPeer } from "../../../subjects/tikv/stand-in/tikv/disk-admission.ts";
import {
  diskSizes,
  diskUsage,
  placeholderBytes,
  reservedBytes,
  type DiskUsage,
} from "../../../subjects/tikv/stand-in/tikv/disk-usage.ts";

const GIB = 2 ** 30;

describe("the reserve", () => {
  it.each([
    ["what is configured", 10 * GIB, 5 * GIB, 5 * GIB],
    ["a twentieth of a large disk", 1000 * GIB, 5 * GIB, 50 * GIB],
    ["nothing when it is switched off", 1000 * GIB, 0, 0],
  ])("is %s", (_what, capacity, configured, reserved) => expect(reservedBytes(capacity, configured)).toBe(reserved));

  it("holds a fifth of itself as a file", () => expect(placeholderBytes(5 * GIB)).toBe(GIB));

  it.each<[number, DiskUsage]>([
    [5 * GIB + 1, "Normal"],
    [5 * GIB, "AlmostFull"],
    [2.5 * GIB + 1, "AlmostFull"],
    [2.5 * GIB, "AlreadyFull"],
    [0, "AlreadyFull"],
  ])("with %d bytes left of 5 GiB means %s", (available, usage) => expect(diskUsage(available, 5 * GIB)).toBe(usage));

  it("that is switched off never fills", () => expect(diskUsage(0, 0)).toBe("Normal"));
});

describe("what a store may use", () => {
  it("is its capacity where the disk has more, and what is left is never more than the disk has free", () => {
    const disk = { totalBytes: 100 * GIB, freeBytes: 3 * GIB };
    expect(diskSizes(disk, 10 * GIB, GIB)).toEqual({ capacity: 10 * GIB, used: GIB, available: 3 * GIB });
    expect(diskSizes({ ...disk, freeBytes: 90 * GIB }, 10 * GIB, 4 * GIB).available).toBe(6 * GIB);
    expect(diskSizes({ ...disk, freeBytes: 90 * GIB }, 10 * GIB, 11 * GIB).available).toBe(0);
    expect(diskSizes(disk, 0, GIB).capacity).toBe(100 * GIB);
    expect(diskSizes(disk, 200 * GIB, GIB).capacity).toBe(100 * GIB);
  });
});

describe("a proposal", () => {
  const members = (...usages: DiskUsage[]): DiskOfPeer[] =>
    usages.map((usage, at) => ({ storeId: at + 1, usage, voter: true }));
  const refused = (own: DiskUsage, others: readonly DiskUsage[], mild = false) =>
    fullStores(own, 1, members(own, ...others), mild);

  it("is refused by a leader without room; a deletion only when it is quite full", () => {
    expect(refused("Normal", ["Normal", "Normal"])).toEqual([]);
    expect(refused("AlmostFull", ["Normal", "Normal"])).toEqual([1]);
    expect(refused("AlmostFull", ["Normal", "Normal"], true)).toEqual([]);
    expect(refused("AlreadyFull", ["Normal", "Normal"], true)).toEqual([1]);
  });

  it("does not mind a full follower while a majority has room", () => {
    expect(refused("Normal", ["AlreadyFull", "Normal"])).toEqual([]);
    expect(refused("Normal", ["AlreadyFull", "AlmostFull"])).toEqual([2, 3]);
  });

  it("that is a deletion is made where one of the full ones still has a little room", () => {
    expect(refused("Normal", ["AlreadyFull", "AlmostFull"], true)).toEqual([]);
    expect(refused("Normal", ["AlreadyFull", "AlreadyFull"], true)).toEqual([2, 3]);
  });

  it("does not count learners", () => {
    const learner: DiskOfPeer = { storeId: 4, usage: "Normal", voter: false };
    expect(fullStores("Normal", 1, [...members("Normal", "AlreadyFull", "AlreadyFull"), learner], false)).toEqual([
      2, 3,
    ]);
  });
});
