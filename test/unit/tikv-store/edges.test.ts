import { describe, expect, it } from "vitest";
import { MetricRegistry } from "../../../subjects/common/metrics/registry.ts";
import { nodeLog } from "../../../subjects/tikv/stand-in/node-log.ts";
import { sizeBytes } from "../../../subjects/tikv/stand-in/tikv/config/readable.ts";
import { readSettings } from "../../../subjects/tikv/stand-in/tikv/settings.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("the command line", () => {
  it("advertises what it listens on unless told otherwise", () => {
    const settings = readSettings(["--addr=0.0.0.0:20160", "--pd", "pd0:2379,pd1:2379", "--labels=zone=a,rack=1"]);
    expect(settings).toMatchObject({
      advertiseAddr: "0.0.0.0:20160",
      statusAddr: "127.0.0.1:20180",
      pdEndpoints: ["pd0:2379", "pd1:2379"],
      labels: { zone: "a", rack: "1" },
    });
    expect(readSettings(["-A", "0.0.0.0:1", "--advertise-addr", "tikv0:1"]).advertiseAddr).toBe("tikv0:1");
  });

  it.each([["--nonsense"], ["--labels=zone"], ["--capacity=much"]])("refuses %s", (flag) => {
    expect(() => readSettings([flag])).toThrow();
  });

  it.each([
    ["10GB", 10 * 2 ** 30],
    ["512MiB", 512 * 2 ** 20],
    ["0", 0],
    ["1.5K", 1536],
  ])("reads %s", (text, bytes) => expect(sizeBytes(text)).toBe(bytes));
});

describe("a log line", () => {
  it("has TiDB's format", () => {
    const lines: string[] = [];
    const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
    const log = nodeLog({ clock, write: (line) => lines.push(line), threadId: 7 });
    log.warn("raft.rs:1743", "became leader at term", { region_id: 2, err: 'say "no"', empty: "", range: "[a=b]" });
    log.debug("raft.rs:1", "not shown");
    expect(lines).toEqual([
      '[2026/01/02 03:04:05.678 +00:00] [WARN] [raft.rs:1743] ["became leader at term"] [region_id=2] ' +
        '[err="say \\"no\\""] [empty=""] [range="[a=b]"] [thread_id=7]\n',
    ]);
  });
});

describe("metrics", () => {
  it("are Prometheus text: cumulative buckets, escaped labels, no families without series", () => {
    const registry = new MetricRegistry();
    registry.counter("unused_total", "Nothing yet.");
    registry.counter("calls_total", "Calls.").inc({ type: 'a"b\\c\n' }, 2);
    const duration = registry.histogram("duration_seconds", "How long.", [0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 3]) duration.observe({ type: "x" }, value);
    expect(registry.text()).toBe(
      [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{type="a\\"b\\\\c\\n"} 2',
        "# HELP duration_seconds How long.",
        "# TYPE duration_seconds histogram",
        'duration_seconds_bucket{type="x",le="0.1"} 2',
        'duration_seconds_bucket{type="x",le="1"} 3',
        'duration_seconds_bucket{type="x",le="+Inf"} 4',
        'duration_seconds_sum{type="x"} 3.65',
        'duration_seconds_count{type="x"} 4',
        "",
      ].join("\n"),
    );
  });
});
