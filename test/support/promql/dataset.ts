import type { Random } from "../../../harness/base/random.ts";

/** Samples of one series; times in ms. */
export interface DataSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly times: number[];
  readonly values: (number | "stale")[];
}

export const BASE_MS = 1_760_000_400_000;
const STEP_MS = 15_000;
export const SPAN_MS = 3_600_000;

/**
 * An hour of made-up series: counters that are reset, gauges with gaps, markers, NaN and infinities, classic histograms,
 * series that come and go, many labels, equal values. `jitterMs` moves samples off the whole seconds at which queries
 * look, so that it makes no difference which end of a range is open; without `markers`, series end with their last sample.
 */
export function dataset(
  random: Random,
  { jitterMs, markers }: { readonly jitterMs: number; readonly markers: boolean },
): DataSeries[] {
  const all: DataSeries[] = [];
  const series = (name: string, labels: Record<string, string>): DataSeries => {
    const made = { labels: { __name__: name, ...labels }, times: [], values: [] };
    all.push(made);
    return made;
  };
  const steps = SPAN_MS / STEP_MS;
  const fill = (to: DataSeries, value: (step: number) => number | "stale" | null, from = 0, until = steps) => {
    const offset = jitterMs === 0 ? 0 : 1 + random.int(jitterMs - 1);
    for (let step = from; step < until; step++) {
      const sample = value(step);
      if (sample === null || (sample === "stale" && !markers)) continue;
      to.times.push(BASE_MS + step * STEP_MS + offset);
      to.values.push(sample);
    }
  };
  counters(series, fill, random, steps);
  gauges(series, fill, random, steps);
  histograms(series, fill, random);
  return all;
}

type Make = (name: string, labels: Record<string, string>) => DataSeries;
type Fill = (to: DataSeries, value: (step: number) => number | "stale" | null, from?: number, until?: number) => void;

function counters(series: Make, fill: Fill, random: Random, steps: number): void {
  for (const job of ["api", "db"])
    for (const instance of ["0", "1", "2"])
      for (const code of ["200", "500"]) {
        // High from the start: what 2.42 and 3.5 make of a counter born near zero differs.
        let total = 1e6 + random.int(1e6);
        const resetAt = random.int(steps);
        // Missed scrapes, but not close to the reset.
        const gapAt = (resetAt + 60 + random.int(100)) % steps;
        fill(series("requests_total", { job, instance, code }), (step) => {
          total = step === resetAt && instance !== "0" ? random.int(20) : total + random.int(code === "200" ? 90 : 4);
          return step >= gapAt && step < gapAt + 3 + random.int(2) && Math.abs(step - resetAt) > 40 ? null : total;
        });
      }
  for (const instance of ["0", "1", "2", "3"]) {
    // Churn: each lives for a while, and ends with a marker or without.
    const from = random.int(steps / 2);
    const until = from + 40 + random.int(80);
    let total = 1e5;
    fill(
      series("jobs_total", { job: "batch", instance, run: String(random.int(9)) }),
      (step) => (step === until - 1 && instance !== "3" ? "stale" : (total += random.int(7))),
      from,
      Math.min(until, steps),
    );
  }
}

function gauges(series: Make, fill: Fill, random: Random, steps: number): void {
  for (const job of ["api", "db"])
    for (const instance of ["0", "1", "2"]) {
      fill(series("up", { job, instance }), (step) => Number((step + Number(instance) * 31) % 97 > 6));
      fill(series("level", { job, instance }), () => random.int(5) - 1);
      fill(series("limit", { job, instance, team: instance === "0" ? "a" : "b" }), () => 3);
      const gapAt = random.int(steps);
      fill(series("memory_bytes", { job, instance }), (step) =>
        step >= gapAt && step < gapAt + 30 ? (step === gapAt ? "stale" : null) : 1e8 + random.int(1e8),
      );
    }
  for (const zone of ["a", "b", "c"])
    fill(series("temperature", { zone, unit: "C" }), () => Math.round((random.next() * 60 - 20) * 100) / 100);
  const odd = [NaN, Infinity, -Infinity, 0, -0, 1.5, 1e300, -1e300, 1e-300, 42];
  for (const zone of ["x", "y", "z"])
    fill(series("odd", { zone }), () =>
      random.next() < 0.5 ? random.int(9) : (odd[random.int(odd.length)] as number),
    );
  for (const node of ["n1", "n2"])
    fill(
      series("node_info", { node, os: "linux", rack: `r${random.int(3)}`, zone: "a", arch: "x86", kernel: "6.1" }),
      () => 1,
    );
  for (const node of ["n1", "n2", "n3"]) fill(series("load", { node, instance: "0" }), () => random.int(64) / 8);
}

function histograms(series: Make, fill: Fill, random: Random): void {
  const bounds = ["0.005", "0.05", "0.5", "5", "+Inf"];
  for (const job of ["api", "db"])
    for (const instance of ["0", "1"]) {
      const counts = bounds.map(() => 1e5);
      const rows: number[][] = [];
      const sums: number[] = [];
      for (let step = 0; step < SPAN_MS / STEP_MS; step++) {
        bounds.forEach((_, index) => (counts[index] = (counts[index] as number) + random.int(30 - index * 5)));
        let total = 0;
        rows.push(counts.map((count) => (total += count)));
        sums.push(total / 16);
      }
      bounds.forEach((le, index) =>
        fill(series("latency_seconds_bucket", { job, instance, le }), (step) => rows[step]?.[index] ?? null),
      );
      fill(series("latency_seconds_count", { job, instance }), (step) => rows[step]?.at(-1) ?? null);
      fill(series("latency_seconds_sum", { job, instance }), (step) => sums[step] ?? null);
    }
}

/** In the format that `promtool tsdb create-blocks-from openmetrics` reads; it has no stale markers. */
export function openMetrics(data: readonly DataSeries[]): string {
  const byName = Map.groupBy(data, ({ labels }) => labels["__name__"] ?? "");
  const lines = [...byName].flatMap(([name, list]) =>
    list.flatMap(({ labels, times, values }) => {
      const pairs = Object.entries(labels)
        .filter(([label]) => label !== "__name__")
        .map(([label, value]) => `${label}="${value}"`);
      return times.map(
        (timeMs, index) => `${name}{${pairs.join(",")}} ${goFloat(values[index] as number)} ${timeMs / 1_000}`,
      );
    }),
  );
  return [...lines, "# EOF", ""].join("\n");
}

/** As Go's `strconv.ParseFloat` reads it. */
export function goFloat(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
