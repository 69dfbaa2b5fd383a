import type { ConfigTree } from "./tree.ts";

/** Numbers beyond 2^53 are written as they are. */
export function configJson(tree: ConfigTree): string {
  const text = JSON.stringify(tree, (_key, value: unknown) => (typeof value === "bigint" ? `#${value}#` : value));
  return text.replace(/"#(\d+)#"/g, "$1");
}
