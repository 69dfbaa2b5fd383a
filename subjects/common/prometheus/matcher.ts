import type { Labels } from "./labels.ts";

export type MatchOp = "=" | "!=" | "=~" | "!~";

export interface Matcher {
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
  readonly test: (value: string) => boolean;
}

/** @throws SyntaxError for a bad regular expression. */
export function matcher(name: string, op: MatchOp, value: string): Matcher {
  if (op === "=") return { name, op, value, test: (given) => given === value };
  if (op === "!=") return { name, op, value, test: (given) => given !== value };
  const pattern = anchored(value);
  return { name, op, value, test: (given) => pattern.test(given) === (op === "=~") };
}

/** A missing label has the empty value. */
export function matches(labels: Labels, matchers: readonly Matcher[]): boolean {
  return matchers.every((each) => each.test(labels[each.name] ?? ""));
}

/**
 * An RE2 pattern that must match the whole text; `.` matches newlines too, as in Prometheus.
 *
 * @throws SyntaxError when JavaScript does not understand it. Of RE2's own syntax only leading flags and named groups
 * are translated.
 */
export function anchored(pattern: string): RegExp {
  const flags = /^\(\?([is]+)\)/.exec(pattern);
  const body = (flags === null ? pattern : pattern.slice(flags[0].length)).replaceAll("(?P<", "(?<");
  return new RegExp(`^(?:${body})$`, flags?.[1]?.includes("i") === true ? "is" : "s");
}
