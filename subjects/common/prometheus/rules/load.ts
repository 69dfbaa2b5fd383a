import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { readRuleFile, type GroupSpec } from "./rule-file.ts";

/**
 * The groups of every file that a pattern names, relative to the configuration's folder, in the order of files and names.
 *
 * @throws ConfigError
 */
export function loadRules(patterns: readonly string[], configFile: string): GroupSpec[] {
  const folder = path.dirname(configFile);
  const groups = patterns.flatMap((pattern) => {
    const joined = path.isAbsolute(pattern) ? pattern : path.join(folder, pattern);
    const files = globSync(joined).toSorted();
    return files.flatMap((file) => readRuleFile(readFileSync(file, "utf8"), file));
  });
  const key = ({ file, name }: GroupSpec) => `${file}\u0000${name}`;
  return groups.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
