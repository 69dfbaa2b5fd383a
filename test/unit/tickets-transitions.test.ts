import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TRANSITIONS } from "../../tickets/index.ts";

test("the README shows the table that the code enforces", () => {
  const readme = readFileSync(new URL("../../tickets/README.md", import.meta.url), "utf8");
  const shown = [...readme.matchAll(/^\| (\w+) +\| ([\w-]+) +\| (\w+) +\| (\w+) +\| (.+?) +\|$/gm)]
    .map(([, event, from, to, by, when]) => ({ event, from: from === "-" ? null : from, to, by, when }))
    .filter(({ event }) => event !== "Event");
  expect(shown).toEqual(TRANSITIONS);
});
