import type { Labels } from "../labels.ts";

export interface InstantSample {
  readonly labels: Labels;
  readonly value: number;
}

/** Samples of one series, oldest first, times in ms. */
export interface RangeSeries {
  readonly labels: Labels;
  readonly times: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/** What an instant query gives. */
export type Value =
  | { readonly type: "scalar"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "vector"; readonly samples: readonly InstantSample[] }
  | { readonly type: "matrix"; readonly series: readonly RangeSeries[] };
