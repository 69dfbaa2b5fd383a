/**
 * A TOML text with some items set, everything else left as it is, comments too
 * (tikv/tikv:components/tikv_util/src/config.rs, `TomlWriter`).
 *
 * @param changes dotted path -> value as TOML writes it
 */
export function withTomlItems(text: string, changes: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(changes));
  const lines: string[] = [];
  let section = "";
  const finishSection = (): void => {
    for (const [path, value] of left) {
      const [own, key] = splitPath(path);
      if (own !== section) continue;
      lines.push(`${key} = ${value}`);
      left.delete(path);
    }
  };
  for (const line of text === "" ? [] : text.replace(/\n$/, "").split("\n")) {
    const opened = /^\s*\[([^[\]]+)\]\s*(?:#.*)?$/.exec(line)?.[1];
    if (opened !== undefined) {
      finishSection();
      section = opened.trim();
    }
    const key = /^\s*([A-Za-z0-9_-]+)\s*=/.exec(line)?.[1];
    const path = key === undefined ? null : section === "" ? key : `${section}.${key}`;
    const value = path === null ? undefined : left.get(path);
    lines.push(value === undefined ? line : `${key} = ${value}`);
    if (value !== undefined && path !== null) left.delete(path);
  }
  finishSection();
  while (left.size > 0) {
    [section] = splitPath([...left.keys()][0] ?? "");
    lines.push(`[${section}]`);
    finishSection();
  }
  return `${lines.join("\n")}\n`;
}

function splitPath(path: string): readonly [section: string, key: string] {
  const at = path.lastIndexOf(".");
  return at < 0 ? ["", path] : [path.slice(0, at), path.slice(at + 1)];
}
