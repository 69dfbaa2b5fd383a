import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { MAY_IMPORT } from "../../oxlint.config.ts";
import { filesOf, REPOSITORY, textOf } from "../support/repository.ts";

const PAGES = filesOf("**/*.md");
const isThere = (from: string, path: string): boolean => existsSync(join(REPOSITORY, from, path));

/** A path from the root, in backticks; `tickets/tickets.db` is one of a run's folder. */
const OUR_PATH = /`((?:harness|subjects|scenarios|tickets|test|docker|bin|bench|docs)\/(?![\w./-]+\.db`)[\w./-]+)`/g;

describe.each(PAGES)("%s", (page) => {
  test("every relative link leads somewhere", () => {
    const links = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    const dead = links
      .filter((target) => !/^(https?:|mailto:|#)/.test(target))
      .filter((target) => !isThere(dirname(page), target.split("#")[0] ?? ""));
    expect(dead).toEqual([]);
  });

  test("every file of ours that it names is there", () => {
    const named = [...textOf(page).matchAll(OUR_PATH)].map(([, path = ""]) => path);
    expect(named.filter((path) => !isThere(".", path) && !isThere(".", `${path}.ts`))).toEqual([]);
  });
});

test("every page that a source cites is in this checkout", () => {
  const names = new Set(PAGES.map((page) => page.split("/").at(-1)));
  const cited = filesOf("{harness,subjects,scenarios,tickets,test,bin,bench,docker}/**/*.{ts,mjs,yaml,yml}").flatMap(
    (file) =>
      [...textOf(file).matchAll(/(?:^|[\s`"(/])([a-z][\w-]*\.md)\b|\b(tikv-facts|tickets-schema)\b/g)].map(
        ([, page, name]) => ({
          file,
          page: page ?? `${name}.md`,
        }),
      ),
  );
  expect(cited.filter(({ page }) => !names.has(page))).toEqual([]);
});

test("every top folder and every part of the harness has a page that says what it is for and what it imports", () => {
  const folders = filesOf("*/**/*")
    .map((path) => /^(harness\/[^/]+(?=\/)|[^/.][^/]*)/.exec(path)?.[0] ?? "")
    .filter((folder) => folder !== "" && folder !== "harness/base");
  for (const folder of new Set(folders)) expect(isThere(folder, "README.md"), `${folder} has no README.md`).toBe(true);
  const parts = [...new Set(folders)].filter((folder) => folder in MAY_IMPORT);
  for (const part of parts) expect(textOf(`${part}/README.md`), part).toMatch(/\bimport/i);
});

test("CONTRIBUTING.md shows the import table that the linter enforces", () => {
  const rows = [...textOf("CONTRIBUTING.md").matchAll(/^\| `([^|]+)` +\| [^|]+ \| ([^|]*)\|$/gm)];
  const shown = rows.flatMap(([, folders = "", may = ""]) => {
    const names = (may.split(";")[0] ?? "").split(",").map((name) => name.trim());
    return folders.split("`, `").map((folder) => [folder, names.filter((name) => name !== "").toSorted()] as const);
  });
  const enforced = Object.entries(MAY_IMPORT).map(([folder, may]) => [folder, may.toSorted()] as const);
  expect(Object.fromEntries(shown.filter(([, may]) => may[0] !== "everything"))).toEqual(Object.fromEntries(enforced));
});

describe("every YAML file that others read is valid", () => {
  const files = [...filesOf("**/*.{yml,yaml}"), ".github/workflows/ci.yml"];
  test.each(files)("%s", (file) => {
    expect(parseDocument(textOf(file), { merge: true }).errors).toEqual([]);
  });

  test("CI runs what people run", () => {
    expect(parseDocument(textOf(".github/workflows/ci.yml")).toString()).toContain("run: bash .ci/run");
  });
});

describe("what is packed", () => {
  const manifest = JSON.parse(textOf("package.json")) as {
    readonly bin: Readonly<Record<string, string>>;
    readonly files: readonly string[];
  };

  test("has both names of the program, and neither sources, tests nor records of runs", () => {
    expect(manifest.bin).toEqual({ "agent-lab": "bin/lab.mjs", lab: "bin/lab.mjs" });
    expect(isThere(".", "bin/lab.mjs")).toBe(true);
    expect(manifest.files.filter((path) => /^(test|runs|harness|subjects|scenarios|tickets)(\/|$)/.test(path))).toEqual(
      [],
    );
  });

  test("the lock file names no registry", () => {
    expect(textOf(".npmrc")).toContain("omit-lockfile-registry-resolved=true");
    expect(textOf("package-lock.json")).not.toMatch(/"resolved": "https?:/);
  });
});
