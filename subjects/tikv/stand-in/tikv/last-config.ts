import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { errorText } from "../../../../harness/base/errors.ts";
import { items, parseConfig, withItem, type ConfigTree } from "./config/tree.ts";
import { replaceFile } from "./replace-file.ts";
import { ConfigPanic } from "./settings.ts";

/** Where a store keeps the configuration that it was last started with. */
export function lastConfigFile(dataDir: string): string {
  return join(dataDir, "last_tikv.toml");
}

/** Null before the first start. @throws ConfigPanic when it cannot be read */
export function readLastConfig(dataDir: string): ConfigTree | null {
  const path = lastConfigFile(dataDir);
  try {
    return parseConfig(readFileSync(path, "utf8")).tree;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ConfigPanic(`invalid auto generated configuration file ${path}, err ${errorText(cause)}`, { cause });
  }
}

/** On disk when it returns. */
export function writeLastConfig(dataDir: string, config: ConfigTree): void {
  let known: ConfigTree = {};
  for (const [path, value] of items(config)) if (value !== null) known = withItem(known, path, value);
  const [path, text] = [lastConfigFile(dataDir), stringify(known)];
  // A store on a full disk can still be started with what it was started with before.
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) replaceFile(path, text);
}
