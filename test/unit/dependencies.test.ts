import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

test("docs/dependencies.md gives a reason for each dependency, and for nothing else", () => {
  const page = readFileSync(new URL("../../docs/dependencies.md", import.meta.url), "utf8");
  const explained = [...page.matchAll(/^\| `([^`]+)` +\| (.+?) +\|$/gm)].map(([, name]) => name);
  const installed = [...Object.keys(packageJson.dependencies), ...Object.keys(packageJson.devDependencies)];
  expect(explained.toSorted()).toEqual(installed.toSorted());
});
