/**
 * `node keep-packages.mjs <compiled program> <node_modules>`: takes out of node_modules what the program does not need
 * to run: packages that no file of it imports, directly or by another package, and of those that stay what is for
 * people, compilers and other platforms.
 */
import { readdirSync, readFileSync, rmSync, existsSync } from "node:fs";
import { join } from "node:path";

const [program, modules] = process.argv.slice(2);

/** @param {string} folder */
const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** `@scope/name/part` -> `@scope/name`. @param {string} specifier */
const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

/** @type {Set<string>} */
const kept = new Set();
/** @param {string} name */
function keep(name) {
  const manifest = join(modules, name, "package.json");
  if (kept.has(name) || !existsSync(manifest)) return;
  kept.add(name);
  // Nested ones lie inside of the package that needs them; what they need at the top is kept as well.
  for (const path of [
    manifest,
    ...filesOf(join(modules, name)).filter((file) => /\/node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file)),
  ]) {
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
    } = JSON.parse(readFileSync(path, "utf8"));
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) keep(needed);
  }
}

for (const file of filesOf(program).filter((name) => name.endsWith(".js")))
  for (const [, specifier] of readFileSync(file, "utf8").matchAll(
    /(?:from|import|import\.meta\.resolve)\s*\(?\s*"([^".][^"]*)"/g,
  ))
    if (!specifier.startsWith("node:")) keep(packageOf(specifier));

const present = readdirSync(modules).flatMap((name) =>
  name.startsWith("@") ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
);
for (const name of present) if (!kept.has(name)) rmSync(join(modules, name), { recursive: true });

const NOT_RUN = /\.(map|md|markdown|ts|mts|cts|flow|c|cc|cpp|h|gypi?|tar\.gz)$/i;
for (const file of filesOf(modules)) {
  const built = /\/prebuilds\/([^/.]+)/.exec(file)?.[1];
  const foreign = built !== undefined && built !== `${process.platform}-${process.arch}`;
  // Licences stay: they ask for it.
  if (foreign || (NOT_RUN.test(file) && !/\/licen[cs]e[^/]*$/i.test(file))) rmSync(file);
}
