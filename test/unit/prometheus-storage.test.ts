import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfig } from "../../subjects/common/prometheus/config.ts";
import { formatDuration, parseDuration } from "../../subjects/common/prometheus/duration.ts";
import { readFlags } from "../../subjects/common/prometheus/flags.ts";
import type { HttpAnswer, HttpGet } from "../../subjects/common/prometheus/http-get.ts";
import { matcher } from "../../subjects/common/prometheus/matcher.ts";
import { formatFixed } from "../../subjects/common/prometheus/go-format.ts";
import { Scraper } from "../../subjects/common/prometheus/scraper.ts";
import { Series } from "../../subjects/common/prometheus/series.ts";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { parseExposition } from "../../subjects/common/prometheus/text-format.ts";
import { queryInstantNow } from "../../subjects/common/prometheus/query.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { queryOptions } from "../support/prometheus-series.ts";

describe("text format", () => {
  test("names, labels with escapes, values of every kind, timestamps, metadata", () => {
    const { samples, metadata } = parseExposition(`
# HELP http_total How many.\\nTwo lines.
# TYPE http_total counter
http_total{method="get",path="a\\\\b\\"c\\nd",} 1.5e3 1395066363000
http_total{ method = "post" , empty="" } 3
no_labels 4
spaced   5
nan_value NaN
up{} +Inf
down{a="}"}-Inf
# just a comment
hex 0x10
`);
    expect(samples).toEqual([
      { labels: { __name__: "http_total", method: "get", path: 'a\\b"c\nd' }, value: 1500, timestampMs: 1395066363000 },
      { labels: { __name__: "http_total", method: "post" }, value: 3, timestampMs: null },
      { labels: { __name__: "no_labels" }, value: 4, timestampMs: null },
      { labels: { __name__: "spaced" }, value: 5, timestampMs: null },
      { labels: { __name__: "nan_value" }, value: NaN, timestampMs: null },
      { labels: { __name__: "up" }, value: Infinity, timestampMs: null },
      { labels: { __name__: "down", a: "}" }, value: -Infinity, timestampMs: null },
      { labels: { __name__: "hex" }, value: 16, timestampMs: null },
    ]);
    expect(metadata.get("http_total")).toEqual({ type: "counter", help: "How many.\nTwo lines.", unit: "" });
  });
  test("OpenMetrics: seconds, exemplars, units, and the end that has to be there", () => {
    const text = `# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le="1"} 5 1.5 # {trace="a } b"} 0.7 1.4
wait_seconds_bucket{le="+Inf"} 6 # {trace="c"} 3
wait_seconds_created 12.5
`;
    const { samples, metadata } = parseExposition(`${text}# EOF\n`, "openmetrics");
    expect(samples.map(({ value, timestampMs }) => [value, timestampMs])).toEqual([
      [5, 1_500],
      [6, null],
      [12.5, null],
    ]);
    expect(metadata.get("wait_seconds")).toEqual({ type: "histogram", help: "", unit: "seconds" });
    expect(() => parseExposition(text, "openmetrics")).toThrow("# EOF");
  });
  test.each(["a{b=c} 1", 'a{b="c" 1', "a", "1a 2", "a one", "a 1 2 3", "a 1 2.5", "<html>"])(
    "refuses %s, naming the line",
    (line) => {
      expect(() => parseExposition(`ok 1\n${line}\n`)).toThrow("line 2");
    },
  );
});

describe("durations and numbers", () => {
  test.each([
    ["1h30m", 5_400_000],
    ["15s", 15_000],
    ["200ms", 200],
    ["1d", 86_400_000],
    ["0", 0],
  ])("%s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
  test.each(["", "5", "0.2s", "1s1h", "1x", "-1s"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeNull();
  });
  test("what is printed can be read again", () => {
    fc.assert(fc.property(fc.nat({ max: 1e9 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
  test.each([
    [1e21, "1000000000000000000000"],
    [1.5e-7, "0.00000015"],
    [-2, "-2"],
    [0.1, "0.1"],
    [-Infinity, "-Inf"],
    [NaN, "NaN"],
    [-1.25e22, "-12500000000000000000000"],
  ])("%s is written without an exponent", (value, text) => expect(formatFixed(value)).toBe(text));
});

describe("series", () => {
  // Series of equal values, of whole numbers of every width, and of anything.
  const series = fc.oneof(
    ...[
      fc.constant(7),
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: -500, max: 60_000 }),
      fc.integer(),
      fc.constantFrom(1, -0, NaN, Infinity, -Infinity, 2 ** 53, 1e300),
      fc.double(),
    ].map((value) =>
      fc.array(fc.record({ gapMs: fc.integer({ min: 1, max: 50 }), stale: fc.boolean(), value }), { maxLength: 500 }),
    ),
  );
  test("ranges and dropping agree with a plain list", () => {
    fc.assert(
      fc.property(series, fc.nat(13_000), fc.nat(13_000), fc.nat(13_000), (draws, a, b, drop) => {
        const series = new Series({});
        let list: { timeMs: number; value: number; stale: boolean }[] = [];
        let timeMs = 0;
        draws.forEach(({ gapMs, stale, value }, index) => {
          timeMs += gapMs;
          series.append(timeMs, value, stale);
          list.push({ timeMs, value, stale });
          if (index % 37 === 36) {
            series.dropBefore(Math.min(drop, timeMs));
            list = list.filter((kept) => kept.timeMs >= Math.min(drop, timeMs));
          }
        });
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const inRange = list.filter((kept) => kept.timeMs > from && kept.timeMs <= to);
        const { times, values, stale } = series.between(from, to);
        expect([...times]).toEqual(inRange.map((kept) => kept.timeMs));
        expect([...values]).toEqual(inRange.map((kept) => kept.value));
        expect([...(stale ?? times.map(() => 0))]).toEqual(inRange.map((kept) => Number(kept.stale)));
        expect(series.existsWithin(from + 1, to)).toBe(inRange.some((kept) => !kept.stale));
        // A packed chunk goes as a whole: until then its samples are hidden.
        expect(series.sampleCount).toBeGreaterThanOrEqual(list.length);
        expect(series.sampleCount).toBeLessThan(list.length + 120);
      }),
    );
  });
  test("what is not newer is dropped", () => {
    const series = new Series({});
    expect([series.append(5, 1), series.append(5, 2), series.append(4, 3)]).toEqual([true, false, false]);
  });
});

describe("storage", () => {
  const fill = (storage: Storage, series: number, samples: number) => {
    for (let n = 0; n < samples; n++)
      for (let s = 0; s < series; s++) storage.append({ __name__: "m", s: String(s) }, n * 1_000, n);
  };
  test("what is older than the retention goes, and series with it", () => {
    const storage = new Storage({ retentionMs: 10_000, maxBytes: Infinity });
    fill(storage, 3, 60);
    storage.append({ __name__: "gone" }, 0, 1);
    storage.sweep(59_000);
    for (const series of storage.select([])) expect(series.between(-Infinity, Infinity).times).toHaveLength(11);
    expect(storage.seriesCount).toBe(3);
    expect(storage.select([matcher("__name__", "=", "gone")])).toEqual([]);
  });
  test("memory has a bound, however long the retention", () => {
    const maxBytes = 60_000;
    const storage = new Storage({ retentionMs: 3_600_000, maxBytes });
    fill(storage, 10, 500);
    expect(storage.sweep(499_000)).toBeGreaterThan(0);
    expect(storage.byteSize).toBeLessThanOrEqual(maxBytes);
    expect(storage.sweep(499_000)).toBeNull();
    expect(storage.select([matcher("__name__", "=", "m")])[0]?.lastTimeMs).toBe(499_000);
  });
});

describe("configuration", () => {
  const file = (text: string) => () => readConfig(text, "prometheus.yml");
  test("targets with their labels, times and addresses", () => {
    const { targets, ...rest } = file(`
global: { scrape_interval: 2s, external_labels: { cluster: x } }
rule_files: ["*.rules.yml"]
scrape_configs:
  - job_name: pd
    static_configs: [{ targets: ["127.0.0.1:1"], labels: { instance: "pd0:2379", zone: "1" } }]
  - job_name: other
    scrape_interval: 1m
    metrics_path: /m
    params: { a: [b, c] }
    static_configs: [{ targets: ["h:2"] }]
`)();
    const [pd, other] = targets;
    expect(rest).toEqual({
      ruleFiles: ["*.rules.yml"],
      evaluationIntervalMs: 60_000,
      externalLabels: { cluster: "x" },
    });
    expect(pd).toMatchObject({ url: "http://127.0.0.1:1/metrics", intervalMs: 2_000, timeoutMs: 2_000 });
    expect(pd?.labels).toEqual({ job: "pd", instance: "pd0:2379", zone: "1" });
    expect(other).toMatchObject({ url: "http://h:2/m?a=b&a=c", intervalMs: 60_000, timeoutMs: 10_000 });
    expect(other?.labels).toEqual({ job: "other", instance: "h:2" });
    expect(other?.discoveredLabels).toMatchObject({ __address__: "h:2", __scrape_interval__: "1m" });
  });
  test.each([
    ["an unknown key", "alerting: {}", "alerting"],
    ["discovery", "scrape_configs: [{ job_name: a, dns_sd_configs: [] }]", "dns_sd_configs"],
    ["a bad duration", "global: { scrape_interval: 0.2s }", "not a valid duration string"],
    ["a job twice", "scrape_configs: [{ job_name: a }, { job_name: a }]", 'job name "a"'],
    [
      "too long a timeout",
      "scrape_configs: [{ job_name: a, scrape_interval: 1s, scrape_timeout: 2s }]",
      "scrape timeout greater",
    ],
    ["broken YAML", "global:\n  - [", "line 2"],
  ])("%s is refused by name", (_, text, message) => {
    expect(file(text)).toThrow(message);
  });
  test("flags as the real ones, others refused by name", () => {
    expect(readFlags(["--config.file=x.yml", "--storage.tsdb.retention.time", "1h"])).toMatchObject({
      configFile: "x.yml",
      retentionMs: 3_600_000,
      listenAddress: "0.0.0.0:9090",
    });
    expect(() => readFlags(["--web.nosuch=1"])).toThrow("unknown long flag '--web.nosuch'");
    expect(() => readFlags(["--config.file"])).toThrow("expected argument for flag '--config.file'");
    expect(() => readFlags(["--storage.tsdb.retention.time=soon"])).toThrow("not a valid duration");
  });
});

describe("scraping", () => {
  const target = {
    pool: "pd",
    url: "http://pd0/metrics",
    intervalMs: 1_000,
    timeoutMs: 500,
    honorLabels: false,
    honorTimestamps: true,
    labels: { job: "pd", instance: "pd0" },
    discoveredLabels: {},
  };
  const found = (body: string): HttpAnswer => ({ status: 200, statusText: "OK", contentType: "", body });
  const setUp = (answer: (signal: AbortSignal) => Promise<HttpAnswer>) => {
    const clock = new ManualClock();
    const storage = new Storage({ retentionMs: Infinity, maxBytes: Infinity });
    const get: HttpGet = (_url, _headers, signal) => answer(signal);
    const scraper = new Scraper(target, { clock, storage, get, phase: 0 });
    const ask = (query: string) => {
      const value = queryInstantNow(storage, query, clock.now(), queryOptions);
      return value.type === "vector" ? value.samples : [];
    };
    return { clock, scraper, ask };
  };
  const never = new AbortController().signal;

  test("samples get the target's labels, and what clashes is kept aside", async () => {
    const { scraper, ask } = setUp(() => Promise.resolve(found('x{job="own",a="b"} 5\n')));
    await scraper.scrape(never);
    expect(ask("x")).toEqual([
      { labels: { __name__: "x", a: "b", job: "pd", exported_job: "own", instance: "pd0" }, value: 5 },
    ]);
    expect(ask("up")).toEqual([{ labels: { __name__: "up", job: "pd", instance: "pd0" }, value: 1 }]);
    expect(ask("scrape_samples_scraped")[0]?.value).toBe(1);
    expect(scraper.status).toMatchObject({ health: "up", lastError: "" });
  });

  test("what is no longer exported is gone at the next scrape, and back with the one after", async () => {
    const bodies = ["a 1\nb 2\n", "a 1\n", "a 1\nb 3\n"];
    const { clock, scraper, ask } = setUp(() => Promise.resolve(found(bodies.shift() ?? "")));
    await scraper.scrape(never);
    expect(ask("b")).toHaveLength(1);
    await clock.advance(1_000);
    await scraper.scrape(never);
    expect(ask("b")).toHaveLength(0);
    expect(ask("a")).toHaveLength(1);
    await clock.advance(1_000);
    await scraper.scrape(never);
    expect(ask("b")[0]?.value).toBe(3);
  });

  test.each<[string, () => Promise<HttpAnswer>, string]>([
    ["refuses", () => Promise.reject(new Error("connection refused")), "connection refused"],
    [
      "answers 500",
      () => Promise.resolve({ status: 500, statusText: "Internal Server Error", contentType: "", body: "no" }),
      "server returned HTTP status 500 Internal Server Error",
    ],
    ["answers nonsense", () => Promise.resolve(found("<html>")), "line 1"],
  ])("a target that %s is down, and its series are gone", async (_, bad, message) => {
    let answer = () => Promise.resolve(found("a 1\n"));
    const { clock, scraper, ask } = setUp(() => answer());
    await scraper.scrape(never);
    answer = bad;
    await clock.advance(1_000);
    await scraper.scrape(never);
    expect(ask("a")).toHaveLength(0);
    expect(ask("up")[0]?.value).toBe(0);
    expect(scraper.status.health).toBe("down");
    expect(scraper.status.lastError).toContain(message);
  });

  test("a target that hangs is down after the timeout; the loop goes on at the interval", async () => {
    let asked = 0;
    const { clock, scraper, ask } = setUp((signal) => {
      asked++;
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    });
    const stop = new AbortController();
    const running = scraper.run(stop.signal);
    await clock.advance(400);
    expect(ask("up")).toHaveLength(0);
    await clock.advance(200);
    expect(ask("up")[0]?.value).toBe(0);
    expect(scraper.status.lastError).toContain("context deadline exceeded");
    await clock.advance(2_000);
    expect(asked).toBe(3);
    stop.abort();
    await running;
  });
});
