export type Labels = Readonly<Record<string, string>>;

/** Seconds, as most server histograms use them: 0.5 ms doubling up to 16 s. */
export const DEFAULT_BUCKETS: readonly number[] = Array.from({ length: 16 }, (_, power) => 0.0005 * 2 ** power);

/** Counts up only. */
export interface Counter {
  inc(labels?: Labels, by?: number): void;
}

export interface Gauge {
  set(labels: Labels, value: number): void;
  /** Forgets series that no longer exist. */
  clear(): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(): string[];
}

/** Metrics of one process, as Prometheus' text format 0.0.4. */
export class MetricRegistry {
  readonly #families: Family[] = [];
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string): Counter {
    const values = this.#numbers(name, "counter", help);
    return {
      inc: (labels = {}, by = 1) => {
        const key = labelText(labels);
        values.set(key, (values.get(key) ?? 0) + by);
      },
    };
  }

  gauge(name: string, help: string): Gauge {
    const values = this.#numbers(name, "gauge", help);
    return { set: (labels, value) => values.set(labelText(labels), value), clear: () => values.clear() };
  }

  histogram(name: string, help: string, buckets: readonly number[] = DEFAULT_BUCKETS): Histogram {
    const series = new Map<
      string,
      { readonly labels: Labels; readonly counts: number[]; sum: number; count: number }
    >();
    const lines = (): string[] =>
      [...series.values()].flatMap(({ labels, counts, sum, count }) => [
        ...buckets.map((le, at) => `${name}_bucket${labelText({ ...labels, le: numberText(le) })} ${counts[at] ?? 0}`),
        `${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${count}`,
        `${name}_sum${labelText(labels)} ${numberText(sum)}`,
        `${name}_count${labelText(labels)} ${count}`,
      ]);
    this.#families.push({ name, type: "histogram", help, lines });
    return {
      observe: (labels, value) => {
        const key = labelText(labels);
        const one = series.get(key) ?? { labels, counts: buckets.map(() => 0), sum: 0, count: 0 };
        series.set(key, one);
        for (let at = buckets.length - 1; at >= 0 && value <= (buckets[at] ?? 0); at--)
          one.counts[at] = (one.counts[at] ?? 0) + 1;
        one.sum += value;
        one.count++;
      },
    };
  }

  /** Called before every `text`, to set gauges from what is true then. */
  collect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  text(): string {
    for (const collector of this.#collectors) collector();
    return this.#families
      .map((family) => ({ ...family, body: family.lines() }))
      .filter(({ body }) => body.length > 0)
      .map(({ name, help, type, body }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${body.join("\n")}\n`)
      .join("");
  }

  #numbers(name: string, type: "counter" | "gauge", help: string): Map<string, number> {
    const values = new Map<string, number>();
    const lines = (): string[] => [...values].map(([labels, value]) => `${name}${labels} ${numberText(value)}`);
    this.#families.push({ name, type, help, lines });
    return values;
  }
}

function labelText(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 0) return "";
  return `{${names.map((name) => `${name}="${escaped(labels[name] ?? "")}"`).join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Number.isNaN(value) ? "NaN" : String(value);
}
