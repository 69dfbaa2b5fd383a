import { describe, expect, it } from "vitest";
import { flameGraph } from "../../../subjects/tikv/stand-in/tikv/flame-graph.ts";
import { pprof } from "../../../subjects/tikv/stand-in/tikv/pprof.ts";

const named = (id: number, functionName: string, children: number[] = []) => ({
  id,
  callFrame: { functionName },
  children,
});
const NODES = [named(1, "(root)", [2, 3]), named(2, "serve", [4]), named(3, "tick"), named(4, "<write>")];
const SAMPLES = [4, 4, 4, 3];

describe("a profile", () => {
  it("as a flame graph: boxes as wide as their share, names safe in XML", () => {
    const svg = flameGraph(NODES, SAMPLES);
    const box = (name: string) =>
      new RegExp(`${name} \\((\\d+) samples, ([\\d.]+)%\\)</title><rect x="([\\d.]+)" y="(\\d+)" width="([\\d.]+)"`)
        .exec(svg)
        ?.slice(1)
        .map(Number);
    expect(box("&lt;write&gt;")).toEqual([3, 75, 0, 32, 900]);
    expect(box("serve")).toEqual([3, 75, 0, 16, 900]);
    expect(box("tick")).toEqual([1, 25, 900, 16, 300]);
    expect(flameGraph([], [])).toContain("<svg");
  });

  it("for pprof: every sample with its chain of callers", () => {
    const bytes = pprof(NODES, SAMPLES, { periodNs: 10_000_000, durationNs: 1e9 });
    // sample { location_id: [4, 2, 1], value: [3, 30000000] }
    expect(bytes.includes(Buffer.from([0x12, 0x0c, 0x0a, 3, 4, 2, 1, 0x12, 5, 3, 0x80, 0x87, 0xa7, 0x0e]))).toBe(true);
    // sample { location_id: [3, 1], value: [1, 10000000] }
    expect(bytes.includes(Buffer.from([0x12, 0x0b, 0x0a, 2, 3, 1, 0x12, 5, 1, 0x80, 0xad, 0xe2, 0x04]))).toBe(true);
    expect(bytes.includes("<write>")).toBe(true);
  });
});
