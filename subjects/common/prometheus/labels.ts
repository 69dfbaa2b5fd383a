/** Label values by name; the metric's own name is under `__name__`. An empty value is the same as no label. */
export type Labels = Readonly<Record<string, string>>;

export const NAME = "__name__";

const keys = new WeakMap<Labels, string>();

/** Equal for equal label sets, whatever the order of names; ordered as Prometheus orders label sets. */
export function labelKey(labels: Labels): string {
  let key = keys.get(labels);
  if (key === undefined) {
    key = Object.keys(labels)
      .sort()
      .map((name) => `${name}\u0000${labels[name]}`)
      .join("\u0001");
    keys.set(labels, key);
  }
  return key;
}

/** "" for a label that is not there, whatever JavaScript's own objects have under its name. */
export function labelValue(labels: Labels, name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] as string) : "";
}

export function without(labels: Labels, names: readonly string[]): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !names.includes(name)));
}

export function only(labels: Labels, names: readonly string[]): Labels {
  return Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(labels, name) ? [[name, labels[name] as string]] : [])),
  );
}

/** With some labels changed; an empty value takes a label away. */
export function changed(labels: Labels, changes: Labels): Labels {
  const entries = new Map([...Object.entries(labels), ...Object.entries(changes)]);
  return Object.fromEntries([...entries].filter(([, value]) => value !== ""));
}

/** In the order of their names, as Prometheus writes them. */
export function sortedLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** As errors show them: `{__name__="x", a="b"}`. */
export function showLabels(labels: Labels): string {
  const shown = (name: string) => (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name));
  const pairs = Object.keys(labels)
    .sort()
    .map((name) => `${shown(name)}=${JSON.stringify(labels[name])}`);
  return `{${pairs.join(", ")}}`;
}
