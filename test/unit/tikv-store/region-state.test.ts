import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeCommand, encodeCommand, type Command } from "../../../subjects/tikv/stand-in/tikv/command.ts";
import { KeyValues } from "../../../subjects/tikv/stand-in/tikv/key-values.ts";
import { regionsOverlap, type Region } from "../../../subjects/tikv/stand-in/tikv/region.ts";
import { RegionState } from "../../../subjects/tikv/stand-in/tikv/region-state.ts";

const region: Region = {
  id: 2,
  startKey: "",
  endKey: "",
  epoch: { confVer: 3, version: 1 },
  peers: [
    { id: 3, storeId: 1, role: "voter" },
    { id: 4, storeId: 5, role: "learner" },
  ],
};

const put = (key: string, value = key) => ({ kind: "put" as const, key, value: Buffer.from(value) });

describe("pairs in order", () => {
  it("are what a sorted map would hold, whatever is put, deleted and split off", () => {
    const key = fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom("a", "b", "c", "\u00ff") });
    const ops = fc.array(fc.tuple(fc.boolean(), key), { maxLength: 60 });
    fc.assert(
      fc.property(ops, key, key, (list, low, high) => {
        const ours = new KeyValues();
        const model = new Map<string, string>();
        for (const [isPut, name] of list) {
          if (isPut) ours.put(name, Buffer.from(`${name}!`));
          else ours.delete(name);
          if (isPut) model.set(name, `${name}!`);
          else model.delete(name);
        }
        const within = [...model.keys()].filter((name) => name >= low && name < high).sort();
        expect(ours.keys(low, high)).toEqual(within);
        const part = ours.split(low, high);
        expect(part.keys("", "")).toEqual(within);
        expect(ours.size + part.size).toBe(model.size);
        const bytes = [...model].reduce((sum, [name, value]) => sum + name.length + Buffer.from(value).length, 0);
        expect(ours.bytes + part.bytes).toBe(bytes);
      }),
    );
  });
});

describe("a region's state", () => {
  it("splits into parts that keep every pair; the region keeps the last part", () => {
    const state = new RegionState(region);
    state.write(["a", "b", "m", "n", "z"].map((key) => put(key)));
    const parts = [
      { regionId: 10, peerIds: [11, 12] },
      { regionId: 20, peerIds: [21, 22] },
    ];
    const [first, second] = state.split({ kind: "split", epoch: region.epoch, keys: ["b", "n"], parts });
    expect(first?.region).toMatchObject({ id: 10, startKey: "", endKey: "b", epoch: { confVer: 3, version: 3 } });
    expect(second?.region).toMatchObject({ id: 20, startKey: "b", endKey: "n" });
    expect(second?.region.peers).toEqual([
      { id: 21, storeId: 1, role: "voter" },
      { id: 22, storeId: 5, role: "learner" },
    ]);
    expect(state.region).toMatchObject({ id: 2, startKey: "n", endKey: "", epoch: { confVer: 3, version: 3 } });
    expect([
      first?.values.of("default").keys("", ""),
      second?.values.of("default").keys("", ""),
      state.values.of("default").keys("", ""),
    ]).toEqual([["a"], ["b", "m"], ["n", "z"]]);
  });

  it("swaps only what is as expected", () => {
    const state = new RegionState(region);
    const swap = (expected: string | null, value: string) =>
      state.write([
        {
          kind: "cas",
          key: "k",
          value: Buffer.from(value),
          expected: expected === null ? null : Buffer.from(expected),
        },
      ])[0];
    expect(swap("x", "1")).toEqual({ succeeded: false, previous: null });
    expect(swap(null, "1")).toEqual({ succeeded: true, previous: null });
    expect(swap(null, "2")).toEqual({ succeeded: false, previous: Buffer.from("1") });
    expect(swap("1", "2")?.succeeded).toBe(true);
    expect(state.values.of("default").get("k")?.toString()).toBe("2");
  });

  it("comes back from its bytes", () => {
    const state = new RegionState(region);
    state.write([put("a\u00ff", "1"), put("b", "")]);
    const back = RegionState.fromBytes(state.toBytes());
    expect(back.region).toEqual(region);
    expect(back.values.of("default").get("a\u00ff")?.toString()).toBe("1");
    expect(back.values.of("default").keys("", "")).toEqual(["a\u00ff", "b"]);
  });
});

describe("what the log holds", () => {
  it("comes back as it was", () => {
    const commands: Command[] = [
      {
        kind: "write",
        version: 7,
        ops: [
          put("a"),
          { kind: "delete", key: "b" },
          { kind: "delete-range", start: "c", end: "" },
          { kind: "cas", key: "d", value: Buffer.from("new"), expected: null },
          { kind: "cas", key: "e", value: Buffer.alloc(0), expected: Buffer.alloc(0), family: "write" },
          { kind: "delete", key: "f", family: "lock" },
        ],
      },
      { kind: "split", epoch: region.epoch, keys: ["k"], parts: [{ regionId: 9, peerIds: [10, 11, 12] }] },
      { kind: "prepare-merge", epoch: region.epoch, target: { ...region, id: 7 } },
      { kind: "commit-merge", epoch: region.epoch, source: region, pairs: Buffer.from("pairs") },
      { kind: "rollback-merge", epoch: region.epoch },
    ];
    for (const command of commands) expect(decodeCommand(encodeCommand(command))).toEqual(command);
  });
});

describe("ranges", () => {
  const range = (startKey: string, endKey: string) => ({ startKey, endKey });
  it.each([
    ["the same", range("a", "b"), range("a", "b"), true],
    ["neighbours", range("a", "b"), range("b", "c"), false],
    ["everything and anything", range("", ""), range("x", "y"), true],
    ["an open end and what lies before it", range("m", ""), range("a", "m"), false],
    ["an open end and what reaches into it", range("m", ""), range("a", "n"), true],
  ])("%s", (_name, a, b, expected) => {
    expect(regionsOverlap(a, b)).toBe(expected);
    expect(regionsOverlap(b, a)).toBe(expected);
  });
});
