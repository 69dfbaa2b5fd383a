import type { Condition, Step } from "./schema.ts";

/** The JSON in an answer: all of it, or what follows a first line such as "pd0 answered 200". */
export function jsonOf(text: string): unknown {
  for (const candidate of [text, text.slice(text.indexOf("\n") + 1)])
    try {
      return JSON.parse(candidate) as unknown;
    } catch {
      continue;
    }
  return undefined;
}

/** All values at a path; `[]` opens a list. A field that is not there is one `undefined`. */
export function valuesAt(value: unknown, path: string): readonly unknown[] {
  const keys = path
    .replaceAll("[]", ".[]")
    .split(".")
    .filter((key) => key !== "");
  return keys.reduce<readonly unknown[]>(
    (values, key) =>
      values.flatMap((one): readonly unknown[] => {
        if (key === "[]") return Array.isArray(one) ? (one as unknown[]) : [];
        return [one !== null && typeof one === "object" ? (one as Record<string, unknown>)[key] : undefined];
      }),
    [value],
  );
}

function same(value: unknown, wanted: string | number | boolean | null): boolean {
  // Proto zero values and absent fields are the same thing in PD's answers (facts §0, trap 3).
  return value === wanted || (wanted === null && value === undefined);
}

export function satisfies(value: unknown, condition: Condition): boolean {
  if (Array.isArray(condition)) return condition.some((wanted) => same(value, wanted));
  if (condition === null || typeof condition !== "object") return same(value, condition);
  const { not, matches, at_least: least, at_most: most, empty } = condition;
  const isEmpty = value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
  return (
    (not === undefined || !(Array.isArray(not) ? not : [not]).some((wanted) => same(value, wanted))) &&
    (matches === undefined || (typeof value === "string" && new RegExp(matches, "i").test(value))) &&
    (least === undefined || (typeof value === "number" && value >= least)) &&
    (most === undefined || (typeof value === "number" && value <= most)) &&
    (empty === undefined || isEmpty === empty)
  );
}

/** Every condition holds on every value at its path, and each path leads to at least one value. */
export function fits(value: unknown, conditions: Readonly<Record<string, Condition>>): boolean {
  return Object.entries(conditions).every(([path, condition]) => {
    const values = valuesAt(value, path);
    return values.length > 0 && values.every((one) => satisfies(one, condition));
  });
}

/** Whether an answer is what a step expects. A refusal never is. */
export function expected(
  step: Pick<Step, "expect" | "contains" | "lacks">,
  answer: { text: string; isError: boolean },
) {
  const found = (pattern: string) => new RegExp(pattern, "i").test(answer.text);
  return (
    !answer.isError &&
    (step.expect === undefined || fits(jsonOf(answer.text), step.expect)) &&
    (step.contains === undefined || step.contains.some(found)) &&
    (step.lacks === undefined || !step.lacks.some(found))
  );
}
