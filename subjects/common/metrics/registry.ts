import { bucketOf, DEFAULT_BUCKETS } from "./buckets.ts";

export type Labels = Readonly<Record<string, string>>;

/** Counts up only. */
export interface Counter {
  inc(labels?: Labels, by?: number): void;
  /** One series of it, for hot paths; it exists with 0 from now on. */
  bind(labels: Labels): (by?: number) => void;
}

export interface Gauge {
  set(labels: Labels, value: number): void;
  /** Forgets series that no longer exist. */
  clear(): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
  /** One series of it, for hot paths; it exists, empty, from now on. */
  bind(labels: Labels): (value: number) => void;
}

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(): string[];
}

interface Cell {
  value: number;
}

interface Distribution {
  /** Labels as text, without the closing brace: `{type="a"`, or `{`. */
  readonly open: string;
  readonly labels: string;
  /** Of each bucket alone; the last one counts what is above every boundary. */
  readonly counts: Float64Array;
  sum: number;
}

/** Metrics of one process, as Prometheus' text format 0.0.4. */
export class MetricRegistry {
  readonly #families: Family[] = [];
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string): Counter {
    const cell = this.#numbers(name, "counter", help).cell;
    return {
      inc: (labels = {}, by = 1) => void (cell(labels).value += by),
      bind: (labels) => {
        const bound = cell(labels);
        return (by = 1) => void (bound.value += by);
      },
    };
  }

  gauge(name: string, help: string): Gauge {
    const { cell, clear } = this.#numbers(name, "gauge", help);
    return { set: (labels, value) => void (cell(labels).value = value), clear };
  }

  /** A counter that somebody else counts: its value is set, and never goes back. */
  total(name: string, help: string): Gauge {
    const { cell, clear } = this.#numbers(name, "counter", help);
    return { set: (labels, value) => void (cell(labels).value = value), clear };
  }

  /** @param buckets upper boundaries, rising, without +Inf. */
  histogram(name: string, help: string, buckets: readonly number[] = DEFAULT_BUCKETS): Histogram {
    const series = new Map<string, Distribution>();
    const edges = buckets.map((le) => `le="${numberText(le)}"}`);
    const of = (labels: Labels): Distribution => {
      const key = labelText(labels);
      const known = series.get(key);
      if (known !== undefined) return known;
      const open = key === "" ? "{" : `${key.slice(0, -1)},`;
      const made = { open, labels: key, counts: new Float64Array(buckets.length + 1), sum: 0 };
      series.set(key, made);
      return made;
    };
    const add = (to: Distribution, value: number): void => {
      const at = bucketOf(buckets, value);
      to.counts[at] = (to.counts[at] ?? 0) + 1;
      to.sum += value;
    };
    const lines = (): string[] =>
      [...series.values()].flatMap(({ open, labels, counts, sum }) => {
        let total = 0;
        const text = edges.map((edge, at) => `${name}_bucket${open}${edge} ${(total += counts[at] ?? 0)}`);
        total += counts[buckets.length] ?? 0;
        text.push(`${name}_bucket${open}le="+Inf"} ${total}`);
        text.push(`${name}_sum${labels} ${numberText(sum)}`, `${name}_count${labels} ${total}`);
        return text;
      });
    this.#families.push({ name, type: "histogram", help, lines });
    return {
      observe: (labels, value) => add(of(labels), value),
      bind: (labels) => {
        const bound = of(labels);
        return (value) => add(bound, value);
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

  #numbers(
    name: string,
    type: "counter" | "gauge",
    help: string,
  ): { readonly cell: (labels: Labels) => Cell; readonly clear: () => void } {
    const cells = new Map<string, Cell>();
    const lines = (): string[] => [...cells].map(([labels, { value }]) => `${name}${labels} ${numberText(value)}`);
    this.#families.push({ name, type, help, lines });
    const cell = (labels: Labels): Cell => {
      const key = labelText(labels);
      const known = cells.get(key);
      if (known !== undefined) return known;
      const made = { value: 0 };
      cells.set(key, made);
      return made;
    };
    return { cell, clear: () => cells.clear() };
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
