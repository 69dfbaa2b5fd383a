import { labelKey, NAME, type Labels } from "./labels.ts";
import { matches, type Matcher } from "./matcher.ts";
import { Series } from "./series.ts";

export interface StorageOptions {
  readonly retentionMs: number;
  /** Bounds memory (17 bytes a sample): when there are more, the oldest go before their time. */
  readonly maxSamples: number;
}

/** Series and their samples, in memory. */
export class Storage {
  readonly #options: StorageOptions;
  readonly #series = new Map<string, Series>();
  readonly #byName = new Map<string, Set<Series>>();

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  get seriesCount(): number {
    return this.#series.size;
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

  /** Every series keeps its samples in one piece. */
  get chunkCount(): number {
    return this.#series.size;
  }

  get sampleCount(): number {
    let count = 0;
    for (const series of this.#series.values()) count += series.sampleCount;
    return count;
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
      const named = this.#byName.get(name) ?? new Set();
      this.#byName.set(name, named.add(series));
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
    const candidates = name === undefined ? this.#series.values() : (this.#byName.get(name.value) ?? []);
    const found: Series[] = [];
    for (const series of candidates) if (matches(series.labels, matchers)) found.push(series);
    return found.sort((a, b) => (labelKey(a.labels) < labelKey(b.labels) ? -1 : 1));
  }

  /** Drops what is older than the retention, or more if memory's bound asks for it. */
  sweep(nowMs: number): void {
    let keepMs = this.#options.retentionMs;
    this.#dropBefore(nowMs - keepMs);
    while (this.sampleCount > this.#options.maxSamples && keepMs > 1_000) {
      keepMs /= 2;
      this.#dropBefore(nowMs - keepMs);
    }
  }

  #dropBefore(timeMs: number): void {
    for (const [key, series] of this.#series) {
      if (series.firstTimeMs < timeMs) series.dropBefore(timeMs);
      if (series.sampleCount > 0) continue;
      this.#series.delete(key);
      const name = series.labels[NAME] ?? "";
      const named = this.#byName.get(name);
      named?.delete(series);
      if (named?.size === 0) this.#byName.delete(name);
    }
  }
}
