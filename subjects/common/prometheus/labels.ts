/** Label values by name; the metric's own name is under `__name__`. An empty value is the same as no label. */
export type Labels = Readonly<Record<string, string>>;

export const NAME = "__name__";

/** Equal for equal label sets, whatever the order of names. */
export function labelKey(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map((name) => `${name}\u0000${labels[name]}`)
    .join("\u0001");
}

export function without(labels: Labels, names: Iterable<string>): Labels {
  const dropped = new Set(names);
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !dropped.has(name)));
}

export function only(labels: Labels, names: readonly string[]): Labels {
  return Object.fromEntries(names.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])));
}

/** As errors show them: `{a="b", c="d"}`, the metric's name in front. */
export function showLabels(labels: Labels): string {
  const pairs = Object.keys(labels)
    .filter((name) => name !== NAME)
    .sort()
    .map((name) => `${name}=${JSON.stringify(labels[name])}`);
  return `${labels[NAME] ?? ""}{${pairs.join(", ")}}`;
}
