import type { Labels } from "../labels.ts";
import type { Matcher } from "../matcher.ts";

/** Samples of one series in order of time, in ms. */
export interface Samples {
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** 1 = from here on the series does not exist; null = no such marker among them. */
  readonly stale: Uint8Array | null;
}

export interface SourceSeries {
  readonly labels: Labels;
  /** In (from, to]; not to be changed. */
  between(fromMs: number, toMs: number): Samples;
}

/** Where an evaluation finds its series, in the order of their labels. */
export interface SeriesSource {
  select(matchers: readonly Matcher[]): readonly SourceSeries[];
}
