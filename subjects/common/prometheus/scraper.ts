import type { Clock, EpochMs } from "../../../harness/base/clock.ts";
import { errorText } from "../../../harness/base/errors.ts";
import type { Target } from "./config.ts";
import type { HttpGet } from "./http-get.ts";
import { NAME, type Labels } from "./labels.ts";
import type { Storage } from "./storage.ts";
import { formatOf, parseExposition, type Exposition, type MetricMetadata, type ScrapedSample } from "./text-format.ts";

export interface TargetStatus {
  readonly target: Target;
  readonly health: "unknown" | "up" | "down";
  readonly lastError: string;
  readonly lastScrape: EpochMs | null;
  readonly lastDurationSeconds: number;
}

export interface ScraperDeps {
  readonly clock: Clock;
  readonly get: HttpGet;
  readonly storage: Storage;
  /** Where the first scrape falls within the interval, 0 to 1, so that targets are not asked all at once. */
  readonly phase: number;
}

const ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

/** More than twice what there is now is forgotten. */
const KNOWN_SLACK = 1_000;

/** Scrapes one target for ever, and says of its series when they are gone. */
export class Scraper {
  readonly #target: Target;
  readonly #deps: ScraperDeps;
  #status: TargetStatus;
  #present = new Set<string>();
  /** By how the target writes them. */
  readonly #known = new Map<string, Labels>();
  /** With the target's own labels, by what the target gave. */
  readonly #labelled = new WeakMap<Labels, Labels>();
  #metadata: ReadonlyMap<string, MetricMetadata> = new Map();

  constructor(target: Target, deps: ScraperDeps) {
    this.#target = target;
    this.#deps = deps;
    this.#status = { target, health: "unknown", lastError: "", lastScrape: null, lastDurationSeconds: 0 };
  }

  get status(): TargetStatus {
    return this.#status;
  }

  get metadata(): ReadonlyMap<string, MetricMetadata> {
    return this.#metadata;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, phase } = this.#deps;
    let due = clock.monotonic() + phase * Math.min(this.#target.intervalMs, 1_000);
    while (!signal.aborted) {
      await clock.sleep(Math.max(0, due - clock.monotonic()), signal).catch(() => {});
      if (signal.aborted) return;
      await this.scrape(signal);
      // What was missed while a scrape took long, or the process slept, is not made up for.
      while (due <= clock.monotonic()) due += this.#target.intervalMs;
    }
  }

  /** One scrape; its failure is data (`up` 0). */
  async scrape(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const at = clock.now();
    const began = clock.monotonic();
    let samples: readonly ScrapedSample[] = [];
    let error = "";
    try {
      const { samples: scraped, metadata } = await this.#exposition(signal);
      samples = scraped;
      this.#metadata = metadata;
    } catch (thrown) {
      if (signal.aborted) return;
      error = errorText(thrown);
    }
    const seconds = (clock.monotonic() - began) / 1_000;
    const added = this.#store(samples, at);
    const up = error === "" ? 1 : 0;
    this.#report(at, {
      up,
      scrape_duration_seconds: seconds,
      scrape_samples_scraped: samples.length,
      scrape_samples_post_metric_relabeling: samples.length,
      scrape_series_added: added,
    });
    this.#status = {
      target: this.#target,
      health: up === 1 ? "up" : "down",
      lastError: error,
      lastScrape: at,
      lastDurationSeconds: seconds,
    };
  }

  async #exposition(signal: AbortSignal): Promise<Exposition> {
    const { url, timeoutMs } = this.#target;
    const timeout = new AbortController();
    const done = new AbortController();
    this.#deps.clock.sleep(timeoutMs, done.signal).then(
      () => timeout.abort(new Error(`Get "${url}": context deadline exceeded`)),
      () => {},
    );
    try {
      const limited = AbortSignal.any([signal, timeout.signal]);
      const headers = { accept: ACCEPT, "x-prometheus-scrape-timeout-seconds": String(timeoutMs / 1_000) };
      const { status, statusText, contentType, body } = await this.#deps.get(url, headers, limited);
      if (status !== 200) throw new Error(`server returned HTTP status ${status} ${statusText}`.trim());
      const exposition = parseExposition(body, formatOf(contentType), this.#known);
      if (this.#known.size > 2 * exposition.samples.length + KNOWN_SLACK) this.#known.clear();
      return exposition;
    } finally {
      done.abort();
    }
  }

  /** @returns how many series are new. What was here and no longer is gets a stale marker. */
  #store(samples: readonly ScrapedSample[], at: EpochMs): number {
    const { storage } = this.#deps;
    const present = new Set<string>();
    let added = 0;
    for (const { labels, value, timestampMs } of samples) {
      const own = this.#target.honorTimestamps ? timestampMs : null;
      const { key, isNew } = storage.append(this.#targetLabels(labels), own ?? at, value);
      if (isNew) added++;
      // A target that stamps its samples also says when they end.
      if (own === null) present.add(key);
    }
    for (const key of this.#present) if (!present.has(key)) storage.markStale(key, at);
    this.#present = present;
    return added;
  }

  #report(at: EpochMs, values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values))
      this.#deps.storage.append({ [NAME]: name, ...this.#target.labels }, at, value);
  }

  #targetLabels(labels: Labels): Labels {
    let result = this.#labelled.get(labels);
    if (result === undefined) this.#labelled.set(labels, (result = this.#merged(labels)));
    return result;
  }

  #merged(labels: Labels): Labels {
    const { labels: own, honorLabels } = this.#target;
    const merged: Record<string, string> = { ...labels };
    for (const [name, value] of Object.entries(own)) {
      const scraped = merged[name];
      if (scraped !== undefined && honorLabels) continue;
      if (scraped !== undefined) merged[`exported_${name}`] = scraped;
      merged[name] = value;
    }
    return merged;
  }
}
