import { labelKey, NAME, type Labels } from "./labels.ts";
import { matches, type Matcher } from "./matcher.ts";
import type { SeriesSource } from "./promql/source.ts";
import { Series } from "./series.ts";

export interface StorageOptions {
  readonly retentionMs: number;
  /** Bounds memory: when it takes more, the oldest samples go before their time. */
  readonly maxBytes: number;
}

/** Series and their samples, in memory. */
export class Storage implements SeriesSource {
  readonly #options: StorageOptions;
  readonly #series = new Map<string, Series>();
  readonly #byName = new Map<string, NamedSeries>();

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  get seriesCount(): number {
    return this.#series.size;
  }

  get sampleCount(): number {
    return this.#sum((series) => series.sampleCount);
  }

  get chunkCount(): number {
    return this.#sum((series) => series.chunkCount);
  }

  get byteSize(): number {
    return this.#sum((series) => series.byteSize);
  }

  #sum(of: (series: Series) => number): number {
    let sum = 0;
    for (const series of this.#series.values()) sum += of(series);
    return sum;
  }

  /** Null without samples. */
  get oldestMs(): number | null {
    return this.#extreme((series) => series.firstTimeMs, Math.min);
  }

  get newestMs(): number | null {
    return this.#extreme((series) => series.lastTimeMs, Math.max);
  }

  #extreme(of: (series: Series) => number, better: (a: number, b: number) => number): number | null {
    let found: number | null = null;
    for (const series of this.#series.values()) {
      const timeMs = of(series);
      if (Number.isFinite(timeMs)) found = found === null ? timeMs : better(found, timeMs);
    }
    return found;
  }

  /** @returns the series' key, and whether it is new. */
  append(labels: Labels, timeMs: number, value: number): { readonly key: string; readonly isNew: boolean } {
    const key = labelKey(labels);
    let series = this.#series.get(key);
    const isNew = series === undefined;
    if (series === undefined) {
      series = new Series(labels);
      this.#series.set(key, series);
      const name = labels[NAME] ?? "";
      const named = this.#byName.get(name) ?? new NamedSeries();
      this.#byName.set(name, named);
      named.add(series);
    }
    series.append(timeMs, value);
    return { key, isNew };
  }

  /** From `timeMs` on the series does not exist, until it has a sample again. */
  markStale(key: string, timeMs: number): void {
    this.#series.get(key)?.append(timeMs, NaN, true);
  }

  /** Series whose labels satisfy all matchers, in the order of their labels. */
  select(matchers: readonly Matcher[]): Series[] {
    const name = matchers.find((matcher) => matcher.name === NAME && matcher.op === "=");
    if (name !== undefined)
      return this.#byName.get(name.value)?.inOrder.filter((series) => matches(series.labels, matchers)) ?? [];
    const found = [...this.#series.values()].filter((series) => matches(series.labels, matchers));
    return found.sort(byLabels);
  }

  /**
   * Drops what is older than the retention, and the oldest of the rest while it takes too much memory.
   *
   * @returns from when on samples are kept, when memory's bound decided it; else null
   */
  sweep(nowMs: number): number | null {
    this.#dropBefore(nowMs - this.#options.retentionMs);
    let excess = this.byteSize - this.#options.maxBytes;
    if (excess <= 0) return null;
    const chunks = [...this.#series.values()].flatMap((series) => series.packed).sort((a, b) => a.lastMs - b.lastMs);
    let cutMs: number | null = null;
    for (const { lastMs, byteSize } of chunks) {
      if (excess <= 0) break;
      cutMs = lastMs + 1;
      excess -= byteSize;
    }
    if (cutMs !== null) this.#dropBefore(cutMs);
    return cutMs;
  }

  #dropBefore(timeMs: number): void {
    for (const [key, series] of this.#series) {
      if (series.firstTimeMs < timeMs) series.dropBefore(timeMs);
      if (series.chunkCount > 0) continue;
      this.#series.delete(key);
      const name = series.labels[NAME] ?? "";
      const named = this.#byName.get(name);
      if (named?.remove(series) === 0) this.#byName.delete(name);
    }
  }
}

function byLabels(a: Series, b: Series): number {
  return labelKey(a.labels) < labelKey(b.labels) ? -1 : 1;
}

/** The series of one metric. They are put in order when somebody asks, and stay so until one is added. */
class NamedSeries {
  readonly #all = new Set<Series>();
  #ordered: readonly Series[] | null = null;

  add(series: Series): void {
    this.#all.add(series);
    this.#ordered = null;
  }

  /** @returns how many are left */
  remove(series: Series): number {
    this.#all.delete(series);
    this.#ordered = null;
    return this.#all.size;
  }

  get inOrder(): readonly Series[] {
    return (this.#ordered ??= [...this.#all].sort(byLabels));
  }
}
