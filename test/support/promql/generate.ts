import type { Random } from "../../../harness/base/random.ts";
import { BASE_MS, SPAN_MS } from "./dataset.ts";

export interface GeneratedQuery {
  readonly text: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 = one instant. */
  readonly stepMs: number;
}

export interface GeneratorOptions {
  /** How far beside a whole second queries look, where samples and the steps of subqueries are; 0 = at them. */
  readonly besideMs: number;
}

/** Whether a result is the same to the last bit whatever the order of additions; what cuts (`==`, `floor`) needs that. */
interface Typed {
  readonly text: string;
  readonly exact: boolean;
  /** The labels that series of the result can have; null = unknown. */
  readonly labels: readonly string[];
}

const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  requests_total: ["job", "instance", "code"],
  jobs_total: ["job", "instance", "run"],
  up: ["job", "instance"],
  level: ["job", "instance"],
  limit: ["job", "instance", "team"],
  memory_bytes: ["job", "instance"],
  temperature: ["zone", "unit"],
  odd: ["zone"],
  node_info: ["node", "os", "rack", "zone"],
  load: ["node", "instance"],
  latency_seconds_bucket: ["job", "instance", "le"],
  latency_seconds_count: ["job", "instance"],
  latency_seconds_sum: ["job", "instance"],
};
const VALUES: Readonly<Record<string, readonly string[]>> = {
  job: ["api", "db", "batch"],
  instance: ["0", "1", "2"],
  code: ["200", "500"],
  zone: ["a", "b", "x"],
  node: ["n1", "n2"],
  le: ["0.05", "+Inf"],
  team: ["a", "b"],
};
const PATTERNS = [".*", ".+", "a.*", "0|1", "[01]", "(?i)API", "n\\\\d", "a|d.?", "", "x?"];
const COUNTERS = ["requests_total", "jobs_total", "latency_seconds_bucket", "latency_seconds_count"];
const PLAIN = Object.keys(FAMILIES).filter((name) => name !== "odd");
const LABELS = ["job", "instance", "code", "zone", "node", "le", "team", "nosuch"];

/** Powers and angles are calculated differently everywhere. */
function isExact(op: string): boolean {
  return op !== "^" && op !== "atan2";
}

/** Draws typed PromQL expressions over the families of `dataset.ts`. */
export class Generator {
  readonly #random: Random;
  readonly #options: GeneratorOptions;

  constructor(random: Random, options: GeneratorOptions) {
    this.#random = random;
    this.#options = options;
  }

  query(): GeneratedQuery {
    const text = this.#chance(0.04) ? this.#broken() : this.#chance(0.06) ? this.#scalar(2) : this.#vector(3).text;
    const startMs = BASE_MS + this.#random.int(SPAN_MS / 1_000) * 1_000 + this.#options.besideMs;
    if (this.#chance(0.5)) return { text, startMs, endMs: startMs, stepMs: 0 };
    const stepMs = this.#pick([1, 7, 15, 30, 60, 173]) * 1_000;
    return { text, startMs, endMs: startMs + this.#random.int(12) * stepMs + this.#random.int(5) * 1_000, stepMs };
  }

  #chance(share: number): boolean {
    return this.#random.next() < share;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.int(list.length)] as T;
  }

  /** Something that both have to refuse. */
  #broken(): string {
    const inner = this.#vector(1).text;
    return this.#pick([
      `${inner} +`,
      `sum(${inner}`,
      `rate(${inner})`,
      `${inner}[5m]`,
      `nosuch(${inner})`,
      `1 == 2`,
      `${inner} and 1`,
      `topk(${inner})`,
      `{}`,
      `up{job=~"("}`,
      `up offset`,
      `sum by job (up)`,
      `up{job="a",}}`,
      `-"text"`,
      `up[5m] offset 1m offset 1m`,
      `label_replace(up, "job", "same", "job", ".*")`,
      `label_replace(up, "instance", "", "instance", ".*")`,
      `requests_total * up`,
      `up * on (job) group_left () limit`,
      `-{__name__=~"up|level"}`,
      `level + on (job) group_left (team) limit`,
    ]);
  }

  #selector(names: readonly string[] = Object.keys(FAMILIES)): { readonly name: string; readonly text: string } {
    const name = this.#pick(names);
    if (this.#chance(0.04)) return { name, text: `{__name__=~"${name}|${this.#pick(PLAIN)}"}` };
    const matchers: string[] = [];
    while (this.#chance(0.3) && matchers.length < 3) {
      const label = this.#chance(0.8) ? this.#pick(FAMILIES[name] as string[]) : this.#pick(LABELS);
      const value = this.#pick(VALUES[label] ?? ["r1", ""]);
      matchers.push(
        this.#pick([
          `${label}="${value}"`,
          `${label}!="${value}"`,
          `${label}=~"${this.#pick(PATTERNS)}"`,
          `${label}!~"${this.#pick(PATTERNS)}"`,
        ]),
      );
    }
    return { name, text: matchers.length === 0 ? name : `${name}{${matchers.join(",")}}` };
  }

  #modifiers(): string {
    const offset = this.#chance(0.15) ? ` offset ${this.#pick(["15s", "1m", "7m", "-30s", "-5m", "1m30s", "33"])}` : "";
    const at = this.#chance(0.07)
      ? ` @ ${this.#pick(["start()", "end()", String(BASE_MS / 1_000 + this.#random.int(3_600)), "0", `${BASE_MS / 1_000 + 1_000}.5`])}`
      : "";
    return this.#chance(0.5) ? offset + at : at + offset;
  }

  #range(names?: readonly string[]): { readonly name: string; readonly text: string; readonly plain: boolean } {
    if (this.#chance(0.15)) {
      const inner = this.#exactVector();
      const range = this.#pick(["5m", "2m", "1m30s", "10m"]);
      const step = this.#pick(["15s", "30s", "1m", "", "7s"]);
      const text = `(${inner.text})[${range}:${step}]`;
      return { name: "", text: text + this.#modifiers(), plain: inner.exact };
    }
    const { name, text } = this.#selector(names);
    const range = this.#pick(["30s", "1m", "95s", "5m", "5m", "17m", "150", "1h"]);
    return { name, text: `${text}[${range}]${this.#modifiers()}`, plain: true };
  }

  #number(): string {
    return this.#pick(["0", "1", "2", "3", "0.5", "-1", "1e3", "0x1f", "1_000", "5m", "Inf", "NaN", ".25", "-0"]);
  }

  #scalar(depth: number): string {
    if (depth <= 0 || this.#chance(0.5)) return this.#number();
    return this.#pick([
      () => "time()",
      () => "pi()",
      () => `scalar(${this.#vector(depth - 1).text})`,
      () => `(${this.#scalar(depth - 1)} ${this.#pick(["+", "-", "*", "/", "%", "^"])} ${this.#number()})`,
      () => `(${this.#number()} ${this.#pick(["==", "!=", "<", ">="])} bool ${this.#number()})`,
      () => `-${this.#scalar(depth - 1)}`,
    ])();
  }

  #exactVector(): Typed {
    for (;;) {
      const vector = this.#vector(1);
      if (vector.exact) return vector;
    }
  }

  #vector(depth: number): Typed {
    if (depth <= 0 || this.#chance(0.12)) {
      const { name, text } = this.#selector();
      return { text: text + this.#modifiers(), exact: true, labels: FAMILIES[name] ?? [] };
    }
    const draw = this.#random.next();
    if (draw < 0.3) return this.#overRange(depth);
    if (draw < 0.55) return this.#aggregation(depth);
    if (draw < 0.8) return this.#binary(depth);
    return this.#function(depth);
  }

  #overRange(depth: number): Typed {
    const kind = this.#random.next();
    if (kind < 0.4) {
      const { name, text } = this.#range(COUNTERS);
      const exact = ["changes", "resets"];
      const f = this.#pick(["rate", "increase", "irate", "rate", "delta", "deriv", "changes", "resets", "idelta"]);
      return { text: `${f}(${text})`, exact: exact.includes(f), labels: FAMILIES[name] ?? [] };
    }
    const exact = kind < 0.7;
    const { name, text, plain } = this.#range(exact ? undefined : PLAIN);
    const labels = FAMILIES[name] ?? [];
    if (exact) {
      const f = this.#pick(["min", "max", "count", "last", "present", "absent"]);
      return { text: `${f}_over_time(${text})`, exact: plain || f !== "last", labels };
    }
    if (kind < 0.76) return { text: `quantile_over_time(${this.#scalar(1)}, ${text})`, exact: false, labels };
    if (kind < 0.82) return { text: `predict_linear(${text}, ${this.#scalar(1)})`, exact: false, labels };
    const f = this.#pick(["avg_over_time", "sum_over_time", "stddev_over_time", "stdvar_over_time", "deriv", "delta"]);
    if (depth > 1 && this.#chance(0.1)) return { text: `-${f}(${text})`, exact: false, labels };
    return { text: `${f}(${text})`, exact: false, labels };
  }

  #grouping(labels: readonly string[]): string {
    const some = () => {
      const picked = new Set<string>();
      while (this.#chance(0.6))
        picked.add(labels.length > 0 && this.#chance(0.9) ? this.#pick(labels) : this.#pick(LABELS));
      return [...picked].join(", ");
    };
    return this.#pick(["", ` by (${some()}) `, ` by (${some()}) `, ` without (${some()}) `]);
  }

  #aggregation(depth: number): Typed {
    const inner = this.#vector(depth - 1);
    const grouping = this.#grouping(inner.labels);
    const ops = ["sum", "avg", "count", "group", "min", "max", "quantile"];
    // Among equals the order of series decides, which is that of a hash after most operations.
    if (/^[a-z_]+(\{[^}]*\})?$/.test(inner.text)) ops.push("topk", "bottomk", "topk", "bottomk", "stddev", "stdvar");
    if (inner.exact) ops.push("count_values");
    const op = this.#pick(ops);
    const exact =
      ["count", "group", "count_values"].includes(op) || (inner.exact && /^(min|max|topk|bottomk)$/.test(op));
    const param = /^(topk|bottomk|quantile)$/.test(op)
      ? `${op === "quantile" ? this.#pick(["0.5", "0", "1", "0.9", "-1", "2", "NaN"]) : this.#pick(["1", "2", "3", "5", "0", "-1", "1.9", "scalar(level)"])}, `
      : op === "count_values"
        ? `"${this.#pick(["value", "job"])}", `
        : "";
    return { text: `${op}${grouping}(${param}${inner.text})`, exact, labels: inner.labels };
  }

  #binary(depth: number): Typed {
    const left = this.#operand(depth);
    if (this.#chance(0.35)) {
      const op = this.#operator(left.exact);
      const other = this.#scalar(1);
      const text = this.#chance(0.7) ? `(${left.text} ${op} ${other})` : `(${other} ${op} ${left.text})`;
      return { text, exact: left.exact && isExact(op), labels: left.labels };
    }
    const right = this.#operand(depth);
    const exact = left.exact && right.exact;
    if (this.#chance(0.3)) {
      const op = this.#pick(["and", "or", "unless"]);
      return { text: `(${left.text} ${op}${this.#matching(false)} ${right.text})`, exact, labels: left.labels };
    }
    const op = this.#operator(exact);
    return {
      text: `(${left.text} ${op}${this.#matching(true)} ${right.text})`,
      exact: exact && isExact(op),
      labels: left.labels,
    };
  }

  #operand(depth: number): Typed {
    return this.#vector(depth - 1 - this.#random.int(2));
  }

  /** What is not exact is neither compared nor subtracted: a difference in the last bit would be the whole result. */
  #operator(exact: boolean): string {
    if (!exact) return this.#pick(["*", "/"]);
    const comparison = this.#pick(["==", "!=", "<", "<=", ">", ">="]);
    return this.#pick(["+", "-", "*", "/", "%", "^", "atan2", comparison, `${comparison} bool`]);
  }

  #matching(groups: boolean): string {
    if (this.#chance(0.45)) return "";
    const labels = this.#pick(["job", "instance", "job, instance", "zone", "node", "", "job, instance, code", "le"]);
    const way = this.#pick([
      `on (${labels})`,
      `ignoring (${this.#pick(["code", "team", "le", "code, le", "run", "instance"])})`,
    ]);
    if (!groups || this.#chance(0.5)) return ` ${way}`;
    return ` ${way} ${this.#pick(["group_left", "group_right"])}${this.#pick(["", " ()", " (team)", " (rack, nosuch)"])}`;
  }

  #function(depth: number): Typed {
    const inner = this.#vector(depth - 1);
    const { text, labels } = inner;
    const of = (result: string, exact = inner.exact): Typed => ({ text: result, exact, labels });
    const draw = this.#random.int(inner.exact ? 15 : 9);
    switch (draw) {
      case 0:
        return of(`${this.#pick(["abs", "sqrt", "exp", "ln", "log2", "log10", "deg", "rad"])}(${text})`, false);
      case 1:
        return of(
          `${this.#pick(["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"])}(${this.#selector(["level", "load", "up", "limit"]).text})`,
          false,
        );
      case 2:
        return of(
          `label_replace(${text}, "${this.#pick(["job", "new", "instance"])}", "${this.#pick(["$1", "x-$1", "${1}y", "$2$1", ""])}", "${this.#pick(["job", "instance", "nosuch"])}", "${this.#pick(["(.*)", "a(.)i", "(\\\\d)(.*)", "x"])}")`,
        );
      case 3:
        return of(`label_join(${text}, "new", "-", "job", "instance")`);
      case 4:
        return of(`absent(${text})`, true);
      case 5:
        return of(`timestamp(${text})`, true);
      case 6: {
        const rate = `rate(latency_seconds_bucket[${this.#pick(["2m", "5m"])}])`;
        const buckets = this.#pick([
          "latency_seconds_bucket",
          rate,
          `sum by (le) (${rate})`,
          `sum without (instance) (${rate})`,
          text,
        ]);
        return of(
          `histogram_quantile(${this.#pick(["0.5", "0.9", "0.99", "0", "1", "-1", "1.5", "NaN"])}, ${buckets})`,
          false,
        );
      }
      case 7:
        return of(`clamp_${this.#pick(["min", "max"])}(${text}, ${this.#scalar(1)})`);
      case 8:
        return of(
          `${this.#pick(["sort", "sort_desc"])}(${this.#selector(["requests_total", "memory_bytes", "odd"]).text})`,
          true,
        );
      case 9:
        return of(`clamp(${text}, ${this.#scalar(1)}, ${this.#scalar(1)})`);
      case 10:
        return of(`round(${text}${this.#pick(["", ", 0.5", ", 10", ", 0"])})`);
      case 11:
        return of(
          `${this.#pick(["year", "month", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute"])}(${this.#chance(0.2) ? "" : text})`,
        );
      case 12:
        return of(`${this.#pick(["ceil", "floor", "sgn"])}(${text})`);
      case 13:
        return of(`vector(${this.#scalar(1)})`, false);
      default:
        return of(`-(${text})`);
    }
  }
}
