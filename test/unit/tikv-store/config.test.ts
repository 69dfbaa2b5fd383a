import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { DEFAULTS, HIDDEN } from "../../../subjects/tikv/stand-in/tikv/config/defaults.ts";
import { configJson } from "../../../subjects/tikv/stand-in/tikv/config/json.ts";
import { ONLINE } from "../../../subjects/tikv/stand-in/tikv/config/online.ts";
import { durationMs, durationText, sizeBytes, sizeText } from "../../../subjects/tikv/stand-in/tikv/config/readable.ts";
import { withTomlItems } from "../../../subjects/tikv/stand-in/tikv/config/toml-writer.ts";
import { itemAt, kindOf, mergedConfig, parseConfig } from "../../../subjects/tikv/stand-in/tikv/config/tree.ts";
import { criticalChange, invalidConfig } from "../../../subjects/tikv/stand-in/tikv/config/validate.ts";

describe("sizes and durations", () => {
  it.each([
    ["5GiB", 5 * 2 ** 30],
    ["10GB", 10 * 2 ** 30],
    ["1.5K", 1536],
    ["7B", 7],
    ["0", 0],
  ])("%s is read", (text, bytes) => expect(sizeBytes(text)).toBe(bytes));

  it.each(["", "x", "5 apples", "-1MB"])("%j is no size", (text) => expect(sizeBytes(text)).toBeNull());

  it("are written with the largest unit that fits", () => {
    expect([0, 512, 1536, 5 * 2 ** 30, 3 * 2 ** 40].map(sizeText)).toEqual(["0KiB", "512B", "1536B", "5GiB", "3TiB"]);
    expect([0, 300, 60_000, 5_400_000, 86_400_000].map(durationText)).toEqual(["0s", "300ms", "1m", "1h30m", "1d"]);
  });

  it.each([
    ["10m", 600_000],
    ["1h30m", 5_400_000],
    ["300ms", 300],
    ["1m300ms", 60_300],
    ["0.5s", 500],
  ])("%s is read", (text, ms) => expect(durationMs(text)).toBe(ms));

  it.each(["", "10", "1s1h", "soon"])("%j is no duration", (text) => expect(durationMs(text)).toBeNull());
});

describe("the defaults", () => {
  it("hold every item that is called hidden or changeable", () => {
    for (const path of [...HIDDEN, ...ONLINE]) expect(itemAt(DEFAULTS, path), path).toBeDefined();
  });

  it("are valid, and are JSON although one number is beyond what JavaScript counts", () => {
    expect(invalidConfig(DEFAULTS)).toBeNull();
    expect(configJson(DEFAULTS)).toContain('"retry-max-count":9223372036854775807');
  });

  it("tell what an item holds", () => {
    const paths = ["raftstore.max-peer-down-duration", "storage.reserve-space", "log.level", "raftstore.prevote"];
    expect(paths.map(kindOf)).toEqual(["duration", "size", "level", "boolean"]);
    expect(["pd.endpoints", "server.grpc-concurrency", "memory-usage-high-water"].map(kindOf)).toEqual([
      "list",
      "integer",
      "float",
    ]);
  });
});

describe("a configuration file", () => {
  it("is read; what TiKV does not know is told apart", () => {
    const { tree, unknown } = parseConfig(
      '[raftstore]\ncapacity = "10GB"\nnonsense = 1\n[rocksdb.writecf]\nblock-size = "64KB"\n[nothing]\nx = 1\n',
    );
    expect(itemAt(tree, "raftstore.capacity")).toBe("10GiB");
    expect(itemAt(tree, "rocksdb.writecf.block-size")).toBe("64KB");
    expect(unknown).toEqual(["raftstore.nonsense", "nothing.x"]);
  });

  it.each([
    ["[server]\ngrpc-concurrency = 'many'", /invalid type: string "many", expected usize for key `server.grpc-conc/],
    ["[storage]\nreserve-space = true", /invalid type: boolean `true`, expected valid size/],
    ["[log]\nlevel = 'loud'", /invalid type: string "loud", expected a log level/],
    ["[raftstore", /./],
  ])("%j cannot be used", (text, why) => expect(() => parseConfig(text)).toThrow(why));

  it("gets items set without losing anything else", () => {
    const before = '# ours\n[server]\naddr = "a" # here\n\n[raftstore]\ncapacity = "1GB"\n';
    const after = withTomlItems(before, {
      "raftstore.capacity": '"2GB"',
      "raftstore.max-peer-down-duration": '"1m"',
      "log.level": '"debug"',
    });
    expect(after).toContain('# ours\n[server]\naddr = "a" # here\n');
    expect(parse(after)).toEqual({
      server: { addr: "a" },
      raftstore: { capacity: "2GB", "max-peer-down-duration": "1m" },
      log: { level: "debug" },
    });
    expect(withTomlItems("", { "log.level": '"warn"' })).toBe('[log]\nlevel = "warn"\n');
  });
});

describe("a store that is started again", () => {
  const at = (over: object) => mergedConfig(DEFAULTS, over as never);

  it.each([
    [
      { storage: { "data-dir": "/other" } },
      /storage data dir have been changed, former is .\/, current data dir is \/other/,
    ],
    [{ "raft-engine": { dir: "/fast" } }, /raft engine dir have been changed, former is '', current is '\/fast'/],
    [{ rocksdb: { "wal-dir": "/wal" } }, /db wal dir have been changed/],
    [{ storage: { "enable-ttl": true } }, /can't enable ttl on a non-ttl instance/],
  ])("refuses %j", (over, why) => expect(criticalChange(at(over), DEFAULTS)).toMatch(why));

  it("takes everything else", () => {
    expect(criticalChange(at({ raftstore: { capacity: "1GiB" }, server: { addr: "x:1" } }), DEFAULTS)).toBeNull();
  });

  it.each([
    [{ raftstore: { "raft-election-timeout-ticks": 2 } }, "election tick must be greater than heartbeat tick"],
    [{ raftstore: { "raft-store-max-leader-lease": "20s" } }, "election timeout 10000 ms is less than lease 20000 ms"],
    [{ storage: { "api-version": 3 } }, "storage.api_version can only be set to 1 or 2."],
    [{ server: { labels: { zone: "" } } }, /store label value: "" not match/],
    [{ server: { addr: "http://x:1" } }, 'invalid addr: "http://x:1"'],
  ])("calls %j invalid", (over, why) => expect(invalidConfig(at(over))).toMatch(why));
});
