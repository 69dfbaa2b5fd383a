import { describe, expect, it } from "vitest";
import { crc64, checksumOf } from "../../../subjects/tikv/stand-in/tikv/checksum.ts";
import { Families } from "../../../subjects/tikv/stand-in/tikv/families.ts";
import { refusedRequest } from "../../../subjects/tikv/stand-in/tikv/raw-refusals.ts";
import type { RawKind, RawRequest } from "../../../subjects/tikv/stand-in/tikv/raw-request.ts";
import { scanRange } from "../../../subjects/tikv/stand-in/tikv/raw-scan.ts";
import type { Region } from "../../../subjects/tikv/stand-in/tikv/region.ts";
import { halfKey, sizedKeys } from "../../../subjects/tikv/stand-in/tikv/split-keys.ts";

const EMPTY = Buffer.alloc(0);

const request = (changed: Partial<RawRequest>): RawRequest => ({
  context: null,
  cf: "",
  key: EMPTY,
  value: EMPTY,
  keys: [],
  pairs: [],
  ranges: [],
  start_key: EMPTY,
  end_key: EMPTY,
  limit: 0,
  each_limit: 0,
  key_only: false,
  reverse: false,
  previous_not_exist: false,
  previous_value: EMPTY,
  ttl: "0",
  ttls: [],
  algorithm: 0,
  ...changed,
});

const context = (api_version: number): NonNullable<RawRequest["context"]> => ({
  region_id: "1",
  region_epoch: null,
  peer: null,
  term: "0",
  replica_read: false,
  stale_read: false,
  max_execution_duration_ms: "0",
  api_version,
});

describe("what a storage in API V1 refuses before it looks for the region", () => {
  const range = (start: string, end: string) => ({ start_key: Buffer.from(start), end_key: Buffer.from(end) });
  it.each<[string, RawKind, Partial<RawRequest>, object | null]>([
    ["nothing", "RawPut", {}, null],
    ["a time to live", "RawPut", { ttl: "5" }, { error: "ttl is not enabled, but get put request with ttl" }],
    ["one of many times to live", "RawBatchPut", { ttls: ["0", "5"] }, { error: /ttl is not enabled/ }],
    ["another version", "RawGet", { context: context(2) }, { error: /cmd: raw_get, storage: V1, request: V2$/ }],
    [
      "another version, in a batch",
      "RawBatchGet",
      { context: context(2) },
      { pairs: [{ error: { abort: /^Error\(ApiVersionNotMatched/ } }] },
    ],
    ["an unknown family", "RawDelete", { cf: "raft" }, { error: "invalid cf name: raft" }],
    ["a known family", "RawDelete", { cf: "write" }, null],
    ["a long key", "RawPut", { key: Buffer.alloc(8193) }, { error: "max key size exceeded, size: 8193, limit: 8192" }],
    ["a long key that is only read", "RawGet", { key: Buffer.alloc(8193) }, null],
    [
      "ranges out of order",
      "RawBatchScan",
      { ranges: [range("b", "a")] },
      { kvs: [{ error: { abort: /KeyRanges/ } }] },
    ],
    ["ranges with an open end between", "RawBatchScan", { ranges: [range("a", ""), range("c", "d")] }, null],
    ["an unknown algorithm", "RawChecksum", { algorithm: 9 }, { error: /unknown checksum algorithm/ }],
  ])("%s", (_name, kind, changed, expected) => {
    const reply = refusedRequest(kind, request(changed));
    if (expected === null) expect(reply).toBeNull();
    else expect(JSON.stringify(reply)).toMatch(textOf(expected));
  });
});

/** What of the reply's text is to be there. */
function textOf(expected: object): RegExp {
  const wanted = JSON.stringify(expected, (_key, value: unknown) =>
    value instanceof RegExp ? `~${value.source}~` : value,
  );
  const [, pattern] = /~(.*)~/.exec(wanted) ?? [];
  const literal = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(pattern === undefined ? literal : (JSON.parse(`"${pattern.replace(/^\^|\$$/g, "")}"`) as string));
}

const region: Region = { id: 1, startKey: "b", endKey: "y", epoch: { confVer: 1, version: 1 }, peers: [] };

function filled(keys: readonly string[], bytes = 10): Families {
  const families = new Families();
  for (const key of keys) families.of("default").put(key, Buffer.alloc(bytes));
  return families;
}

describe("a scan", () => {
  const values = filled(["a", "b", "c", "d", "x", "z"]).of("default");
  const keys = (start: string, end: string, reverse: boolean, limit = 10) =>
    scanRange(
      values,
      region,
      { start_key: Buffer.from(start), end_key: Buffer.from(end) },
      { reverse, limit, keyOnly: true },
    )
      .map(({ key }) => key.toString())
      .join("");

  it.each([
    ["a", "", false, 10, "bcdx"],
    ["c", "x", false, 10, "cd"],
    ["b", "", false, 2, "bc"],
    ["x", "b", true, 10, "dcb"],
    ["y", "c", true, 2, "xd"],
    ["b", "", false, 0, ""],
  ] as const)("from %s to %s", (start, end, reverse, limit, expected) => {
    expect(keys(start, end, reverse, limit)).toBe(expected);
  });
});

describe("a checksum", () => {
  it("is CRC-64/XZ, xored over pairs in any order", () => {
    expect(crc64(Buffer.from("123456789")).toString(16)).toBe("995dc9bbdf1939fa");
    const pairs = [
      { key: Buffer.from("a"), value: Buffer.from("1") },
      { key: Buffer.from("b"), value: Buffer.from("22") },
    ];
    expect(checksumOf(pairs)).toEqual(checksumOf([...pairs].reverse()));
    expect(checksumOf(pairs)).toMatchObject({
      kvs: 2,
      bytes: 5,
      checksum: crc64(Buffer.from("a1")) ^ crc64(Buffer.from("b22")),
    });
  });
});

describe("where a region is cut", () => {
  const numbered = (count: number) => Array.from({ length: count }, (_, at) => `k${100 + at}`);
  const limits = { maxBytes: 150, splitBytes: 100, maxKeys: 1_500, splitKeys: 1_000, batch: 10 };

  it("in half by bytes; what holds one key stays whole", () => {
    expect(halfKey(filled(numbered(10)))).toBe("k105");
    expect(halfKey(filled(["a"]))).toBeNull();
    const uneven = filled(numbered(10));
    uneven.of("default").put("k100", Buffer.alloc(1_000));
    expect(halfKey(uneven)).toBe("k101");
  });

  it("into parts of a split's size, none of them small, no more than a batch at once", () => {
    // Pairs of 14 bytes: a part holds seven.
    expect(sizedKeys(filled(numbered(10)), limits)).toEqual([]);
    expect(sizedKeys(filled(numbered(14)), limits)).toEqual(["k107"]);
    expect(sizedKeys(filled(numbered(21)), limits)).toEqual(["k107", "k114"]);
    expect(sizedKeys(filled(numbered(500)), limits)).toHaveLength(10);
    expect(
      sizedKeys(filled(numbered(30)), { ...limits, splitBytes: 1e6, maxBytes: 1e6, splitKeys: 10, maxKeys: 15 }),
    ).toEqual(["k110", "k120"]);
  });
});
