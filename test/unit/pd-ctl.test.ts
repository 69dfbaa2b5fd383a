import { describe, expect, test } from "vitest";
import { ctlRequest, indented } from "../../subjects/tikv/stand-in/ctl/pd-ctl.ts";

describe("pd-ctl", () => {
  test.each([
    ["store", "127.0.0.1:2379", "/pd/api/v1/stores"],
    ["-u http://pd1:2379 store 4", "pd1:2379", "/pd/api/v1/store/4"],
    ["--pd=http://pd0:2379,http://pd1:2379 member", "pd0:2379", "/pd/api/v1/members"],
    ["region 12", "127.0.0.1:2379", "/pd/api/v1/region/id/12"],
    ["region check miss-peer", "127.0.0.1:2379", "/pd/api/v1/regions/check/miss-peer"],
    ["-u pd2:2379 health", "pd2:2379", "/pd/api/v1/health"],
  ])("%s", (line, address, path) => expect(ctlRequest(line.split(" "))).toEqual({ address, path }));

  test.each(["store delete 4", "member delete name pd0", "config set max-replicas 1", "", "-x store", "store 4 5"])(
    "refuses %j, by name",
    (line) =>
      expect(() => ctlRequest(line.split(" ").filter((word) => word !== ""))).toThrow(
        expect.objectContaining({ code: "config-invalid" }),
      ),
  );

  test("indents without touching 64-bit numbers or text", () => {
    const json = '{"id":7234567890123456789,"a":[],"b":[1,{"t":"x, {y}: \\"z\\""}],"c":{}}';
    expect(indented(json)).toBe(
      `{\n  "id": 7234567890123456789,\n  "a": [],\n  "b": [\n    1,\n    {\n      "t": "x, {y}: \\"z\\""\n    }\n  ],\n  "c": {}\n}\n`,
    );
  });
});
