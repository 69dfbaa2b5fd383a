import { labelValue, type Labels } from "./labels.ts";
import { anchoredRegex } from "./regex.ts";

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
  const pattern = anchoredRegex(value);
  return { name, op, value, test: (given) => pattern.test(given) === (op === "=~") };
}

/** A missing label has the empty value. */
export function matches(labels: Labels, matchers: readonly Matcher[]): boolean {
  return matchers.every((each) => each.test(labelValue(labels, each.name)));
}
