import { describe, expect, test } from "vitest";
import { showLabels, without, type Labels } from "../../subjects/common/prometheus/labels.ts";
import { queryInstantNow, queryRange } from "../../subjects/common/prometheus/query.ts";
import type { Storage } from "../../subjects/common/prometheus/storage.ts";
import { queryOptions, seriesStorage } from "../support/prometheus-series.ts";

/** The metric's name in front of its labels. */
const shown = (labels: Labels) => `${labels["__name__"] ?? ""}${showLabels(without(labels, ["__name__"]))}`;

/** Answers as text: `{a="b"} 1` a line, sorted unless `keepOrder`. */
function ask(storage: Storage, query: string, atMs: number, keepOrder = false): string[] {
  const value = queryInstantNow(storage, query, atMs, queryOptions);
  switch (value.type) {
    case "scalar":
    case "string":
      return [String(value.value)];
    case "vector": {
      const lines = value.samples.map((sample) => `${shown(sample.labels)} ${round(sample.value)}`);
      return keepOrder ? lines : lines.sort();
    }
    case "matrix":
      return value.series.map(
        ({ labels, times, values }) =>
          `${shown(labels)} ${Array.from(times, (time, index) => `${values[index]}@${time / 1_000}`).join(" ")}`,
      );
  }
}

const round = (value: number) => Math.round(value * 1e9) / 1e9;
const S = 1_000;
const M = 60_000;

describe("selectors", () => {
  const storage = seriesStorage(
    10 * S,
    `up{job="a",instance="1"} 1 1 1 1
     up{job="a",instance="2"} 1 1 stale
     up{job="b",instance="3"} 1 0 _ 0
     other{job="a"} 5x3`,
  );
  test.each<[string, number, string[]]>([
    ["up", 10, ['up{instance="1", job="a"} 1', 'up{instance="2", job="a"} 1', 'up{instance="3", job="b"} 0']],
    ["up", 20, ['up{instance="1", job="a"} 1', 'up{instance="3", job="b"} 0']],
    ['up{job="b"}', 30, ['up{instance="3", job="b"} 0']],
    ['up{job!="a"}', 30, ['up{instance="3", job="b"} 0']],
    ['up{instance=~"1|2"}', 10, ['up{instance="1", job="a"} 1', 'up{instance="2", job="a"} 1']],
    ['up{instance=~"[12]",instance!~"2"}', 10, ['up{instance="1", job="a"} 1']],
    ['{__name__=~"oth.*"}', 0, ['other{job="a"} 5']],
    ['{"other"}', 0, ['other{job="a"} 5']],
    ['up{nolabel=""}', 30, ['up{instance="1", job="a"} 1', 'up{instance="3", job="b"} 0']],
    ['up{job=~"a"} offset 10s', 30, ['up{instance="1", job="a"} 1']],
    ['up{instance="2"} offset 20s', 30, ['up{instance="2", job="a"} 1']],
    ["other @ 0", 400, ['other{job="a"} 5']],
    ["other @ end()", 30, ['other{job="a"} 5']],
    ["other offset -10s", 20, ['other{job="a"} 5']],
  ])("%s at %i s", (query, at, expected) => {
    expect(ask(storage, query, at * S)).toEqual(expected.sort());
  });
  test("looks back five minutes, open on the left", () => {
    expect(ask(storage, "other", 30 * S + 5 * M - 1)).toEqual(['other{job="a"} 5']);
    expect(ask(storage, "other", 30 * S + 5 * M)).toEqual([]);
  });
  test("a range is open on the left and leaves stale markers out", () => {
    expect(ask(storage, 'up{instance="1"}[20s]', 30 * S)).toEqual(['up{instance="1", job="a"} 1@20 1@30']);
    expect(ask(storage, 'up{instance="2"}[1m]', 30 * S)).toEqual(['up{instance="2", job="a"} 1@0 1@10']);
  });
});

describe("rates", () => {
  // Every 10 s from 0 to 60 s; `reset` falls to 5 at 30 s.
  const storage = seriesStorage(
    10 * S,
    `even 0+10x6
     high 1000+10x6
     reset 10 20 30 5 15 25 35
     gauge 10 8 6 4 2 0 -2
     one 7 _ _ _ _ _ _
     two 0 _ _ _ _ 30 40`,
  );
  test.each<[string, number, string[]]>([
    // (0, 60]: 10..60 sampled over 50 s, 10 s to the start (threshold 11), but only to zero: 50 * (10/50) = 10.
    ["increase(even[1m])", 60, ["{} 60"]],
    ["rate(even[1m])", 60, ["{} 1"]],
    ["increase(high[1m])", 60, ["{} 60"]],
    // (5, 65]: the end is 5 s away, the start 5 s, within 11 s: extrapolated to the whole minute.
    ["increase(high[1m])", 65, ["{} 60"]],
    // (15, 75]: samples 20..60; 5 s to the start, 15 s to the end is too far: half a gap instead.
    ["increase(high[1m])", 75, ["{} 50"]],
    // 20 30 | 5 15 25 35: 35 - 20 + 30 = 45 over 50 s; to zero 50 * 20/45 = 22 s, so 10 s: 45 * 60/50.
    ["increase(reset[1m])", 60, ["{} 54"]],
    ["resets(reset[1m])", 60, ["{} 1"]],
    ["changes(reset[1m])", 60, ["{} 5"]],
    ["irate(reset[1m])", 60, ["{} 1"]],
    // Last two: 30 then 5: a reset counts from zero.
    ["irate(reset[25s])", 30, ["{} 0.5"]],
    ["idelta(gauge[1m])", 60, ["{} -2"]],
    ["delta(gauge[1m])", 60, ["{} -12"]],
    ["deriv(gauge[1m])", 60, ["{} -0.2"]],
    ["predict_linear(gauge[1m], 10)", 60, ["{} -4"]],
    ["rate(one[1m])", 30, []],
    // (0, 60]: 30 at 50 s, 40 at 60 s: 10 over 10 s; the start is 50 s away: half a gap, 5 s: 10 * 15/10.
    ["increase(two[1m])", 60, ["{} 15"]],
    ["rate(even[1m] offset 30s)", 90, ["{} 1"]],
    ["rate(even[1m] @ 60)", 9000, ["{} 1"]],
  ])("%s at %i s", (query, at, expected) => {
    expect(ask(storage, query, at * S)).toEqual(expected);
  });
  test("a counter is not extrapolated below zero", () => {
    // (10, 70] holds 20..60 of `even`: 40 over 40 s; 10 s to the start, zero would be 20 s away: 10; the end 10 s.
    expect(ask(storage, "increase(even[1m])", 70 * S)).toEqual(["{} 60"]);
    const young = seriesStorage(10 * S, "young _ _ _ 1 11 21");
    // First 1 at 30 s: zero is 20 * 1/20 = 1 s before it, though 5 s would be allowed: 20 * (20 + 1)/20.
    expect(ask(young, "increase(young[25s])", 50 * S)).toEqual(["{} 21"]);
  });
});

describe("over time", () => {
  const storage = seriesStorage(10 * S, "x 1 2 NaN 4 stale\ny 3 1 2 8");
  test.each<[string, string[]]>([
    ["sum_over_time(y[1m])", ["{} 14"]],
    ["avg_over_time(y[1m])", ["{} 3.5"]],
    ["min_over_time(y[1m])", ["{} 1"]],
    ["max_over_time(y[1m])", ["{} 8"]],
    ["max_over_time(x[1m])", ["{} 4"]],
    ["count_over_time(x[1m])", ["{} 4"]],
    ["last_over_time(x[1m])", ["x{} 4"]],
    ["present_over_time(x[1m])", ["{} 1"]],
    ["stdvar_over_time(y[1m])", ["{} 7.25"]],
    ["quantile_over_time(0.5, y[1m])", ["{} 2.5"]],
    ["absent_over_time(x[1m])", []],
    ['absent_over_time(z{a="b"}[1m])', ['{a="b"} 1']],
    ["max_over_time(sum(y)[30s:10s])", ["{} 8"]],
    ["count_over_time(y[50s:20s])", ["{} 3"]],
  ])("%s at 40 s", (query, expected) => {
    expect(ask(storage, query, 40 * S)).toEqual(expected);
  });
});

describe("aggregation", () => {
  const storage = seriesStorage(
    S,
    `m{job="a",i="1"} 1
     m{job="a",i="2"} 3
     m{job="b",i="3"} 5
     m{job="b",i="4"} NaN`,
  );
  test.each<[string, string[]]>([
    ['sum(m{job="a"})', ["{} 4"]],
    ["sum by (job) (m)", ['{job="a"} 4', '{job="b"} NaN']],
    ["sum(m) by (job, nosuch)", ['{job="a"} 4', '{job="b"} NaN']],
    ["count without (i) (m)", ['{job="a"} 2', '{job="b"} 2']],
    ["max by (job) (m)", ['{job="a"} 3', '{job="b"} 5']],
    ["min(m)", ["{} 1"]],
    ['avg(m{job="a"})', ["{} 2"]],
    ["group by (job) (m)", ['{job="a"} 1', '{job="b"} 1']],
    ['stddev(m{job="a"})', ["{} 1"]],
    ['stdvar(m{job="a"})', ["{} 1"]],
    ['quantile(0.25, m{job="a"})', ["{} 1.5"]],
    ['quantile(2, m{job="a"})', ["{} Infinity"]],
    ["topk(1, m) by (job)", ['m{i="2", job="a"} 3', 'm{i="3", job="b"} 5']],
    ["bottomk(1, m)", ['m{i="1", job="a"} 1']],
    ["topk(0, m)", []],
    ['count_values("v", m)', ['{v="1"} 1', '{v="3"} 1', '{v="5"} 1', '{v="NaN"} 1']],
    ["sum(nosuch)", []],
  ])("%s", (query, expected) => {
    expect(ask(storage, query, 0)).toEqual(expected);
  });
  test("topk and sort keep their order", () => {
    expect(ask(storage, "topk(3, m)", 0, true)).toEqual([
      'm{i="3", job="b"} 5',
      'm{i="2", job="a"} 3',
      'm{i="1", job="a"} 1',
    ]);
    expect(ask(storage, "sort(m)", 0, true)).toEqual([
      'm{i="1", job="a"} 1',
      'm{i="2", job="a"} 3',
      'm{i="3", job="b"} 5',
      'm{i="4", job="b"} NaN',
    ]);
    expect(ask(storage, "sort_desc(m < 4)", 0, true)).toEqual(['m{i="2", job="a"} 3', 'm{i="1", job="a"} 1']);
  });
});

describe("operators", () => {
  const storage = seriesStorage(
    S,
    `used{i="1",db="kv"} 30
     used{i="2",db="kv"} 80
     size{i="1",db="kv"} 100
     size{i="2",db="kv"} 100
     name{i="1",host="x"} 1
     name{i="2",host="y"} 1
     zero 0`,
  );
  test.each<[string, string[]]>([
    ["1 + 2 * 3 ^ 2 ^ 0", ["7"]],
    ["-2 ^ 2", ["-4"]],
    ["2 - 3 - 4", ["-5"]],
    ["-(1 + 2) % 2", ["-1"]],
    ["1 > bool 2", ["0"]],
    ["5m / 1h", [String(1 / 12)]],
    ["0x1F + 1e3 + .5", ["1031.5"]],
    ["-zero + 1", ["{} 1"]],
    ["used / size", ['{db="kv", i="1"} 0.3', '{db="kv", i="2"} 0.8']],
    ["1 - used / size", ['{db="kv", i="1"} 0.7', '{db="kv", i="2"} 0.2']],
    ["used > 50", ['used{db="kv", i="2"} 80']],
    ["50 < used", ['used{db="kv", i="2"} 80']],
    ["used > bool 50", ['{db="kv", i="1"} 0', '{db="kv", i="2"} 1']],
    ["used < on(i) size", ['{i="1"} 30', '{i="2"} 80']],
    ["used / on(i) group_left(host) name", ['{db="kv", host="x", i="1"} 30', '{db="kv", host="y", i="2"} 80']],
    ["name * ignoring(db, host) group_right used", ['{db="kv", i="1"} 30', '{db="kv", i="2"} 80']],
    ["used and on(i) (name == 1)", ['used{db="kv", i="1"} 30', 'used{db="kv", i="2"} 80']],
    ['used unless on(i) name{host="x"}', ['used{db="kv", i="2"} 80']],
    ['used{i="1"} or used', ['used{db="kv", i="1"} 30', 'used{db="kv", i="2"} 80']],
    ["vector(1) or zero", ["{} 1"]],
    ["sum(used) / sum(size) > 0.5", ["{} 0.55"]],
    ["zero / 0", ["{} NaN"]],
    ["used + size offset 1s", []],
    ["zero == 0 and on() used > 70 or on() vector(9)", ["zero{} 0"]],
    ["vector(2) atan2 vector(2)", [`{} ${round(Math.PI / 4)}`]],
  ])("%s", (query, expected) => {
    expect(ask(storage, query, 0)).toEqual(expected);
  });
  test("a suffix belongs to the last operand, whatever the published grammar's tree says", () => {
    const counters = seriesStorage(10 * S, "a 100x9\nb 0+1x9");
    expect(ask(counters, "a + b offset 20s * 2", 50 * S)).toEqual(["{} 106"]);
    expect(ask(counters, "-b offset 20s", 50 * S)).toEqual(["{} -3"]);
    expect(ask(counters, "a - b @ 10 - b", 50 * S)).toEqual(["{} 94"]);
    expect(ask(counters, "a == 100 and b offset 20s == 3", 50 * S)).toEqual(["a{} 100"]);
  });
});

describe("functions", () => {
  const storage = seriesStorage(
    S,
    `lat_bucket{le="0.1"} 10
     lat_bucket{le="0.5"} 30
     lat_bucket{le="1"} 38
     lat_bucket{le="+Inf"} 40
     v{a="x-1"} -1.5
     v{a="x-2"} 2.5
     flat_bucket{le="1"} 0
     flat_bucket{le="+Inf"} 0`,
  );
  test.each<[string, string[]]>([
    // rank 20 of 40: 10 below 0.1, 20 more up to 0.5: 0.1 + 0.4 * 10/20.
    ["histogram_quantile(0.5, lat_bucket)", ["{} 0.3"]],
    ["histogram_quantile(0.1, lat_bucket)", ["{} 0.04"]],
    ["histogram_quantile(0.99, lat_bucket)", ["{} 1"]],
    ["histogram_quantile(2, lat_bucket)", ["{} Infinity"]],
    ["histogram_quantile(0.5, flat_bucket)", ["{} NaN"]],
    ["abs(v)", ['{a="x-1"} 1.5', '{a="x-2"} 2.5']],
    ["ceil(v)", ['{a="x-1"} -1', '{a="x-2"} 3']],
    ["floor(v)", ['{a="x-1"} -2', '{a="x-2"} 2']],
    ["round(v)", ['{a="x-1"} -1', '{a="x-2"} 3']],
    ["round(v, 0.2)", ['{a="x-1"} -1.4', '{a="x-2"} 2.6']],
    ["clamp_min(v, 0)", ['{a="x-1"} 0', '{a="x-2"} 2.5']],
    ["clamp_max(v, 0)", ['{a="x-1"} -1.5', '{a="x-2"} 0']],
    ["clamp(v, -1, 1)", ['{a="x-1"} -1', '{a="x-2"} 1']],
    ["sgn(v)", ['{a="x-1"} -1', '{a="x-2"} 1']],
    ["scalar(v)", ["NaN"]],
    ['scalar(v{a="x-2"}) * 2', ["5"]],
    ["vector(time())", ["{} 7"]],
    ["timestamp(v)", ['{a="x-1"} 0', '{a="x-2"} 0']],
    ['absent(v{a="x-1"})', []],
    ['absent(nosuch{a="b",c=~"d",e!="f"})', ['{a="b"} 1']],
    ["absent(sum(nosuch))", ["{} 1"]],
    ['label_replace(v, "n", "$1", "a", "x-(.*)")', ['v{a="x-1", n="1"} -1.5', 'v{a="x-2", n="2"} 2.5']],
    ['label_replace(v, "a", "", "a", "x-1")', ['v{a="x-2"} 2.5', "v{} -1.5"]],
    ['label_join(v, "j", "+", "a", "a")', ['v{a="x-1", j="x-1+x-1"} -1.5', 'v{a="x-2", j="x-2+x-2"} 2.5']],
    ["'text'", ["text"]],
  ])("%s at 7 s", (query, expected) => {
    expect(ask(storage, query, 7 * S)).toEqual(expected.sort());
  });
});

describe("refused by name and place", () => {
  const storage = seriesStorage(S, 'a{x="1"} 1\na{x="2"} 1\nb 1');
  test.each<[string, string]>([
    ["", "no expression found in input"],
    ["a{", "1:3: parse error: unexpected end of input"],
    ["a\n  + * b", "2:5: parse error"],
    ["sum(a", "1:6: parse error: unclosed left parenthesis"],
    ["nosuch(a)", 'unknown function with name "nosuch"'],
    ["rate(a)", 'expected type range vector in call to function "rate", got instant vector'],
    ["a[5m] + 1", "binary expression must contain only scalar and instant vector types"],
    ["1 == 2", "comparisons between scalars must use BOOL modifier"],
    ["1 + bool 2", "bool modifier can only be used on comparison operators"],
    ["a and 1", 'set operator "and" not allowed in binary scalar expression'],
    ['{x=~".*"}', "vector selector must contain at least one non-empty matcher"],
    ['a{x=~"("}', "error parsing regexp"],
    ["sum(a)[5m]", "ranges only allowed for vector selectors"],
    ["rate(a[5m]) offset 1m", "offset modifier must be preceded by"],
    ["topk(a)", "wrong number of arguments for aggregate expression provided, expected 2, got 1"],
    ["clamp(a)", 'expected 3 argument(s) in call to "clamp", got 1'],
    ["limitk(1, a)", "limitk() is experimental and must be enabled"],
    ["mad_over_time(a[5m])", 'function "mad_over_time" is not enabled'],
    ["b + on() a", "found duplicate series for the match group {}"],
    ["a + on() b", "many-to-one matching must be explicit"],
    ['label_replace(a, "x", "same", "x", ".*")', "vector cannot contain metrics with the same labelset"],
  ])("%s", (query, message) => {
    expect(() => queryInstantNow(storage, query, 0, queryOptions)).toThrow(message);
  });
});

describe("range queries", () => {
  const storage = seriesStorage(10 * S, 'x{i="1"} 0+1x5\nx{i="2"} _ 5 stale');
  const limits = queryOptions;
  const range = { startMs: 0, endMs: 30 * S, stepMs: 10 * S };

  test("one point per step where there is a value", async () => {
    const results = await queryRange(storage, "x * 2", range, limits);
    expect(results).toEqual([
      {
        labels: { i: "1" },
        points: [
          [0, 0],
          [10 * S, 2],
          [20 * S, 4],
          [30 * S, 6],
        ],
      },
      { labels: { i: "2" }, points: [[10 * S, 10]] },
    ]);
    expect(await queryRange(storage, "x{i='1'} @ start() + time()", range, limits)).toMatchObject([
      {
        points: [
          [0, 0],
          [10 * S, 10],
          [20 * S, 20],
          [30 * S, 30],
        ],
      },
    ]);
    expect(await queryRange(storage, "1", range, limits)).toMatchObject([{ labels: {} }]);
  });
  test("refuses what has no answer", async () => {
    await expect(queryRange(storage, "x[1m]", range, limits)).rejects.toThrow("must be Scalar or instant Vector");
    await expect(queryRange(storage, "x", { ...range, stepMs: 0 }, limits)).rejects.toThrow("zero or negative");
    await expect(queryRange(storage, "x", { ...range, endMs: -1 }, limits)).rejects.toThrow("must not be before");
    await expect(queryRange(storage, "x", { ...range, stepMs: 1 }, limits)).rejects.toThrow("11,000 points");
    await expect(queryRange(storage, "x", range, { ...limits, maxSamples: 3 })).rejects.toThrow("too many samples");
    await expect(queryRange(storage, "sum(sum_over_time(x[1h]))", range, { ...limits, maxSamples: 3 })).rejects.toThrow(
      "too many samples",
    );
    let now = 0;
    const slow = { ...queryOptions, timeoutMs: 1_000, monotonic: () => (now += 600) };
    await expect(queryRange(storage, "x", range, slow)).rejects.toThrow("timed out");
  });
  test("a long one lets others work in between", async () => {
    let now = 0;
    const order: string[] = [];
    const query = queryRange(storage, "sum(rate(x[1m])) + sum(x)", range, { ...limits, monotonic: () => (now += 30) });
    setImmediate(() => order.push("others"));
    await query;
    order.push("query");
    expect(order).toEqual(["others", "query"]);
  });
});

describe("regular expressions", () => {
  test("take linear time, whatever the pattern", () => {
    const storage = seriesStorage(10 * S, `x{a="${"a".repeat(200)}!"} 1`);
    expect(ask(storage, 'x{a=~"(a|aa|a+)+"}', 0)).toEqual([]);
    expect(ask(storage, 'label_replace(x, "b", "$1", "a", "((a|aa|a+)+)!") * 0', 0)).toHaveLength(1);
  });
  test.each([
    ['x{a=~"(?i:ABC)"}', 1],
    ['x{a=~"a.c"}', 2],
    ['x{a=~"a\\\\.c"}', 1],
    ['x{a=~"[[:alpha:]]+"}', 1],
    ['x{a=~"abc|a.c"}', 2],
    ['x{a=~"\\\\Qa.c\\\\E"}', 1],
    ['x{a=~"b"}', 0],
    ['x{a!~"a.+"}', 0],
    ['x{a=~"(?P<n>a)bc"}', 1],
  ])("%s finds %i", (query, count) => {
    const storage = seriesStorage(10 * S, 'x{a="abc"} 1\nx{a="a.c"} 1');
    expect(ask(storage, query, 0)).toHaveLength(count);
  });
  test("what RE2 has not is refused by name", () => {
    const storage = seriesStorage(10 * S, "x 1");
    expect(() => queryInstantNow(storage, 'x{a=~"(?=a)"}', 0, queryOptions)).toThrow(
      "invalid or unsupported Perl syntax",
    );
    expect(() => queryInstantNow(storage, 'x{a=~"(a)\\\\1"}', 0, queryOptions)).toThrow("invalid escape sequence");
  });
});
