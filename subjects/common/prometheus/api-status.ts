import { isoTime, type EpochMs } from "../../../harness/base/clock.ts";
import { NAME } from "./labels.ts";
import type { Scraper } from "./scraper.ts";
import type { Storage } from "./storage.ts";

/** What the server says of itself under `/api/v1/status`. */
export interface ServerInfo {
  readonly version: string;
  readonly startedAt: EpochMs;
  /** The configuration file's text. */
  readonly config: string;
  /** Every flag that is known here, as given or by default. */
  readonly flags: Readonly<Record<string, string>>;
}

export function buildInfo({ version }: ServerInfo): object {
  return { version, revision: "", branch: "HEAD", buildUser: "", buildDate: "", goVersion: "" };
}

/** As the real one's in its container, whose folder tells nothing; what has no counterpart here is zero. */
export function runtimeInfo({ startedAt, flags }: ServerInfo, now: EpochMs): object {
  return {
    startTime: isoTime(startedAt),
    CWD: "/prometheus",
    hostname: "prometheus",
    serverTime: isoTime(now),
    reloadConfigSuccess: true,
    lastConfigTime: isoTime(startedAt),
    corruptionCount: 0,
    goroutineCount: 0,
    GOMAXPROCS: 1,
    GOMEMLIMIT: 0,
    GOGC: "",
    GODEBUG: "",
    storageRetention: flags["storage.tsdb.retention.time"] ?? "",
  };
}

/** How many series there are of what: the `limit` largest of each kind. */
export function tsdbStatus(storage: Storage, limit: number): object {
  const [names, pairs] = [new Map<string, number>(), new Map<string, number>()];
  const values = new Map<string, Map<string, number>>();
  for (const { labels } of storage.select([]))
    for (const [name, value] of Object.entries(labels)) {
      if (name === NAME) names.set(value, (names.get(value) ?? 0) + 1);
      pairs.set(`${name}=${value}`, (pairs.get(`${name}=${value}`) ?? 0) + 1);
      const own = values.get(name) ?? new Map<string, number>();
      values.set(name, own.set(value, Buffer.byteLength(value)));
    }
  const sums = [...values].map(
    ([name, sizes]) => [name, [...sizes.values()].reduce((sum, size) => sum + size, 0)] as const,
  );
  const largest = (counts: Iterable<readonly [string, number]>) =>
    [...counts]
      .sort(([, a], [, b]) => b - a)
      .slice(0, limit)
      .map(([name, value]) => ({ name, value }));
  return {
    headStats: {
      numSeries: storage.seriesCount,
      numLabelPairs: pairs.size,
      chunkCount: storage.chunkCount,
      minTime: storage.oldestMs ?? 0,
      maxTime: storage.newestMs ?? 0,
    },
    seriesCountByMetricName: largest(names),
    labelValueCountByLabelName: largest([...values].map(([name, sizes]) => [name, sizes.size])),
    memoryInBytesByLabelName: largest(sums),
    seriesCountByLabelValuePair: largest(pairs),
  };
}

/** What targets say of their metrics: `/api/v1/metadata`. At most `perMetric` of each; 0 = all. */
export function metricMetadata(
  scrapers: readonly Scraper[],
  only: string | null,
  perMetric: number,
): Map<string, object[]> {
  const found = new Map<string, { type: string; help: string; unit: string }[]>();
  for (const scraper of scrapers)
    for (const [name, { type, help, unit }] of scraper.metadata) {
      if (only !== null && only !== "" && only !== name) continue;
      const known = found.get(name) ?? [];
      found.set(name, known);
      if (perMetric > 0 && known.length >= perMetric) continue;
      if (!known.some((each) => each.type === type && each.help === help)) known.push({ type, help, unit });
    }
  return found;
}
