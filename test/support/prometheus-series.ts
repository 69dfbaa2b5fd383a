import type { EpochMs } from "../../harness/base/clock.ts";
import type { ServerInfo } from "../../subjects/common/prometheus/api-status.ts";
import type { QueryOptions } from "../../subjects/common/prometheus/query.ts";
import { Storage } from "../../subjects/common/prometheus/storage.ts";
import { parseExposition } from "../../subjects/common/prometheus/text-format.ts";

/** Prometheus' own defaults; time stands still. */
export const queryOptions: QueryOptions = {
  lookbackMs: 300_000,
  subqueryStepMs: 60_000,
  maxSamples: 50_000_000,
  timeoutMs: 120_000,
  monotonic: () => 0,
};

export const serverInfo: ServerInfo = { version: "3.5.0", startedAt: 0 as EpochMs, config: "", flags: {} };

/**
 * Storage with samples every `stepMs` from time 0, in the notation of Prometheus' own tests: one series a line, then
 * values; `_` = no sample, `stale` = a marker, `a+bxn` = a, a+b, ... (n+1 values), `axn` = n+1 times a.
 */
export function seriesStorage(stepMs: number, text: string, startMs = 0): Storage {
  const storage = new Storage({ retentionMs: Infinity, maxBytes: Infinity });
  for (const { labels, samples } of notation(text))
    samples.forEach((sample, index) => {
      const atMs = startMs + index * stepMs;
      if (sample === "stale") storage.markStale(storage.append(labels, -Infinity, 0).key, atMs);
      else if (sample !== null) storage.append(labels, atMs, sample);
    });
  return storage;
}

export interface WrittenSeries {
  /** As written, e.g. `up{job="a"}`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly (number | "stale" | null)[];
}

export function notation(text: string): WrittenSeries[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", values = ""] = /^([^\s{]+(?:\{.*\})?)\s+(.*)$/.exec(line) ?? [];
      const [sample] = parseExposition(`${name} 0`).samples;
      if (sample === undefined) throw new Error(`not a series: ${line}`);
      return { name, labels: sample.labels, samples: values.split(/\s+/).flatMap(expand) };
    });
}

function expand(token: string): (number | "stale" | null)[] {
  if (token === "_") return [null];
  if (token === "stale") return ["stale"];
  const gaps = /^_x(\d+)$/.exec(token);
  if (gaps !== null) return Array.from({ length: Number(gaps[1]) }, () => null);
  const [, first, step = "+0", times] = /^(-?[\d.]+(?:e\d+)?)([+-][\d.]+)?x(\d+)$/.exec(token) ?? [];
  if (first !== undefined) return Array.from({ length: Number(times) + 1 }, (_, n) => Number(first) + n * Number(step));
  return [token === "NaN" ? NaN : token === "Inf" ? Infinity : Number(token)];
}
