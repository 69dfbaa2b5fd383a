import type { Operation } from "../../../harness/protocol.ts";

/** Upper bounds in seconds; a healthy operation takes a few milliseconds, a deadline is around two seconds. */
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const OPS = ["read", "write"] as const;
const OUTCOMES = ["ok", "failed", "unknown"] as const;

interface Histogram {
  readonly counts: number[];
  sum: number;
}

/** What clients see, as Prometheus text (format 0.0.4). Every series exists from the start, so that rates do too. */
export class ClientMetrics {
  readonly #totals = new Map<string, number>();
  readonly #durations = new Map<string, Histogram>();
  #skipped = 0;

  constructor() {
    for (const op of OPS) {
      for (const outcome of OUTCOMES) this.#totals.set(`op="${op}",outcome="${outcome}"`, 0);
      this.#durations.set(op, { counts: BUCKETS.map(() => 0).concat(0), sum: 0 });
    }
  }

  ended({ kind, outcome, startedMs, endedMs }: Operation): void {
    const labels = `op="${kind}",outcome="${outcome}"`;
    this.#totals.set(labels, (this.#totals.get(labels) ?? 0) + 1);
    const histogram = this.#durations.get(kind) as Histogram;
    const seconds = (endedMs - startedMs) / 1_000;
    const found = BUCKETS.findIndex((bound) => seconds <= bound);
    const bucket = found === -1 ? BUCKETS.length : found;
    histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
    histogram.sum += seconds;
  }

  /** One that was due but not started: too many were outstanding. */
  skipped(): void {
    this.#skipped++;
  }

  render(inFlight: number): string {
    return [
      "# HELP client_requests_total Operations that ended, by what the client knows of them.",
      "# TYPE client_requests_total counter",
      ...[...this.#totals].map(([labels, value]) => `client_requests_total{${labels}} ${value}`),
      "# HELP client_request_duration_seconds From the first attempt to the end of the last.",
      "# TYPE client_request_duration_seconds histogram",
      ...OPS.flatMap((op) => histogramLines(op, this.#durations.get(op) as Histogram)),
      "# HELP client_requests_in_flight Operations that have begun and not ended.",
      "# TYPE client_requests_in_flight gauge",
      `client_requests_in_flight ${inFlight}`,
      "# HELP client_requests_skipped_total Operations not started because too many were outstanding.",
      "# TYPE client_requests_skipped_total counter",
      `client_requests_skipped_total ${this.#skipped}`,
      "",
    ].join("\n");
  }
}

function histogramLines(op: string, { counts, sum }: Histogram): string[] {
  const name = "client_request_duration_seconds";
  let total = 0;
  const lines = counts.map((count, index) => {
    total += count;
    const bound = BUCKETS[index];
    return `${name}_bucket{op="${op}",le="${bound === undefined ? "+Inf" : bound}"} ${total}`;
  });
  return [...lines, `${name}_sum{op="${op}"} ${sum}`, `${name}_count{op="${op}"} ${total}`];
}
