import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { REQUIREMENTS } from "../requirements.ts";

test.each(REQUIREMENTS)("$promise", ({ shownBy }) => {
  const cited = Object.entries(shownBy).flatMap(([file, titles]) => titles.map((title) => ({ file, title })));
  expect(cited).not.toEqual([]);
  for (const { file, title } of cited) {
    const path = join(import.meta.dirname, "..", file);
    expect(existsSync(path), `${file} is gone`).toBe(true);
    expect(readFileSync(path, "utf8"), `${file} has no test "${title}"`).toContain(title);
  }
});
