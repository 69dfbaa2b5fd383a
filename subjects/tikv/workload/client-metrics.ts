import type { Operation } from "../../../harness/protocol.ts";
import { MetricRegistry } from "../../common/metrics/registry.ts";

/** Upper bounds in seconds; a healthy operation takes a few milliseconds, a deadline is around two seconds. */
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** What clients see, as Prometheus text. */
export interface ClientMetrics {
  ended(operation: Operation): void;
  /** One that was due but not started: too many were outstanding. */
  skipped(): void;
  text(): string;
}

/** Every counter exists from the start, so that rates do too. */
export function clientMetrics(inFlight: () => number): ClientMetrics {
  const registry = new MetricRegistry();
  const total = registry.counter("client_requests_total", "Operations that ended, by what the client knows of them.");
  const duration = registry.histogram(
    "client_request_duration_seconds",
    "From the first attempt to the end of the last.",
    BUCKETS,
  );
  const outstanding = registry.gauge("client_requests_in_flight", "Operations that have begun and not ended.");
  const skipped = registry.counter(
    "client_requests_skipped_total",
    "Operations not started because too many were outstanding.",
  );
  for (const op of ["read", "write"]) for (const outcome of ["ok", "failed", "unknown"]) total.inc({ op, outcome }, 0);
  skipped.inc({}, 0);
  registry.collect(() => outstanding.set({}, inFlight()));
  return {
    ended: ({ kind, outcome, startedMs, endedMs }) => {
      total.inc({ op: kind, outcome });
      duration.observe({ op: kind }, (endedMs - startedMs) / 1_000);
    },
    skipped: () => skipped.inc(),
    text: () => registry.text(),
  };
}
