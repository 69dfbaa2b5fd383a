import { RE2JS } from "re2js";

export interface Regex {
  /** Somewhere in the text. */
  found(text: string): boolean;
  /** Go's `$1`, `${name}` and `$$` are filled in. */
  replaceAll(text: string, replacement: string): string;
}

/**
 * RE2's syntax, matched in linear time whatever the pattern: JavaScript's own engine can be kept busy for hours by a
 * short one.
 *
 * @throws SyntaxError in Go's words
 */
export function compileRegex(pattern: string): Regex {
  const compiled = compiledOf(pattern);
  return {
    found: (text) => compiled.test(text),
    replaceAll: (text, replacement) =>
      compiled.matcher(text).replaceAll((...args: unknown[]) => {
        const { groups, names } = groupsOf(compiled, args);
        return expandTemplate(replacement, groups, names);
      }),
  };
}

/** Groups by number and by name of a match of the whole text, or null. */
export interface AnchoredRegex {
  test(text: string): boolean;
  /** @returns Go's template filled with the match's groups; null when the text does not match */
  expand(text: string, template: string): string | null;
}

/**
 * A pattern that must match the whole text; `.` matches newlines too: `^(?s:…)$`, as Prometheus 3 compiles matchers
 * (model/labels/regexp.go). Values are remembered, for each is asked about at every query. What a matcher of literals
 * asks is answered without the engine.
 *
 * @throws SyntaxError in Go's words
 */
export function anchoredRegex(pattern: string): AnchoredRegex {
  // Alone first: what is wrong is then said of the pattern as it was written.
  compiledOf(pattern);
  const compiled = compiledOf(`^(?s:${pattern})$`);
  const literals = literalsOf(pattern);
  const known = new Map<string, boolean>();
  const test = (text: string): boolean => {
    let result = known.get(text);
    if (result !== undefined) return result;
    result = compiled.testExact(text);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, result);
    return result;
  };
  return {
    test: literals === null ? test : (text) => literals.has(text),
    expand: (text, template) => {
      const matcher = compiled.matcher(text);
      if (!matcher.matches()) return null;
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? "");
      return expandTemplate(template, groups, matcher.getNamedGroups());
    },
  };
}

const MAX_KNOWN = 10_000;

/** The alternatives of `a|b|c`, when there is nothing else in the pattern. */
function literalsOf(pattern: string): ReadonlySet<string> | null {
  return /^[^\\.+*?()[\]{}^$]*$/.test(pattern) ? new Set(pattern.split("|")) : null;
}

function compiledOf(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new SyntaxError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function groupsOf(
  compiled: RE2JS,
  args: readonly unknown[],
): { groups: string[]; names: Readonly<Record<string, string | null>> } {
  const count = compiled.groupCount() + 1;
  const last = args.at(-1);
  const names = typeof last === "object" && last !== null ? (last as Record<string, string | null>) : {};
  return { groups: args.slice(0, count).map((group) => (typeof group === "string" ? group : "")), names };
}

/** `regexp.Expand`: the longest name after `$` counts; one that is unknown is empty; a lone `$` stays. */
function expandTemplate(
  template: string,
  groups: readonly string[],
  names: Readonly<Record<string, string | null>>,
): string {
  return template.replace(/\$(?:\$|([\p{L}\p{N}_]+)|\{([\p{L}\p{N}_]+)\})/gu, (all, bare?: string, braced?: string) => {
    const name = bare ?? braced;
    if (name === undefined) return "$";
    if (/^(0|[1-9]\d*)$/.test(name)) return groups[Number(name)] ?? "";
    return Object.hasOwn(names, name) ? (names[name] ?? "") : "";
  });
}
