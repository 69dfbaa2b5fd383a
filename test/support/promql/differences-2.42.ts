import type { GeneratedQuery } from "./generate.ts";

/** A way in which Debian's 2.42 is known to answer otherwise than 3.5, by the release that changed it. */
export interface KnownDifference {
  readonly what: string;
  /** Of Prometheus' CHANGELOG.md. */
  readonly since: string;
  readonly applies: (query: GeneratedQuery) => boolean;
}

const has = (shape: RegExp) => (query: GeneratedQuery) => shape.test(query.text);

/**
 * Queries that are left out, by name. Left-open ranges (3.0.0 #13904, subqueries 3.0.1 #15431) need only one: queries look
 * half a second beside every sample and every step of a subquery.
 */
export const knownDifferences: readonly KnownDifference[] = [
  {
    what: "underscores in numbers",
    since: "2.54.0 #12821",
    applies: has(/\d_\d/),
  },
  {
    what: "numbers as durations, and durations as numbers",
    since: "2.54.0 #9138",
    applies: ({ text }) =>
      /\[\d+\]|offset -?\d+(?![\w.])/.test(text) || /\b5m\b/.test(text.replaceAll(/\[[^\]]*\]|offset -?\w+/g, "")),
  },
  {
    what: "infinite and undefined values in stddev and stdvar",
    since: "3.0.0 #14941",
    applies: ({ text }) => /\b(stddev|stdvar)(_over_time)?\b/.test(text) && /\bodd\b|Inf|NaN|scalar|\/|%|\^/.test(text),
  },
  {
    what: "a parameter of topk, bottomk and quantile that is not constant",
    since: "3.5.0 #16404",
    applies: has(/\((scalar)\(level\), /),
  },
  {
    what: "`@` in a range vector beside another argument, over a range",
    since: "2.51.0 #13559",
    applies: ({ text, stepMs }) => stepMs > 0 && /(predict_linear|quantile_over_time)\(.*@/.test(text),
  },
  {
    what: "the metric's name after atan2",
    since: "it is an arithmetic operator: `shouldDropMetricName` did not know it in 2.42 (promql/engine.go)",
    applies: has(/\batan2\b/),
  },
  {
    what: "a subquery within a subquery, whose steps are its ends",
    since: "3.0.1 #15431",
    applies: ({ text }) => (text.match(/\[[^\]]*:/g)?.length ?? 0) > 1,
  },
  {
    what: "which of equal values topk and bottomk keep",
    since: "2.44.0 #12190",
    applies: has(/(topk|bottomk)\b.*\b(level|up|limit|node_info|load|odd)\b/),
  },
  {
    what: "a counter that is born near zero, which subqueries and gauges can seem to be",
    since: "2.51.0 #13725",
    applies: has(/\b(rate|increase)\(.*(\[[^\]]*:|__name__)/),
  },
  {
    what: "count_values under a label that is grouped by too",
    since: "2.51.1 #13845",
    applies: has(/count_values[^"]*\bjob\b[^"]*"job"/),
  },
  {
    what: "duplicates made by label_join",
    since: "3.3.0 #15975",
    applies: has(/label_join\(.*"new"/),
  },
];
