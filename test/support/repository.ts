import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const REPOSITORY = resolve(import.meta.dirname, "../..");

/** Neither ours nor kept: packages, what is made, recordings. */
const APART =
  /^(node_modules|dist|runs|test\/tools|subjects\/tikv\/check\/recordings)(\/|$)|(^|\/)(node_modules|\.toolchain|\.git)(\/|$)/;

/** Files of the checkout that match, by their paths from its root. */
export function filesOf(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: REPOSITORY, exclude: (path) => APART.test(path) }).filter(
    (path) => !APART.test(path),
  );
}

export const textOf = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");
