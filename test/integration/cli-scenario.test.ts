import { join } from "node:path";
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EXIT } from "../../harness/cli/exit-codes.ts";
import { scenarios } from "../../scenarios/index.ts";
import { lab } from "../support/cli.ts";
import { ticketFolder as folderOfThisTest } from "../support/ticket-folder.ts";

test("list and show have every scenario that comes with the lab", async () => {
  const { out } = await lab(["scenario", "list"]);
  for (const { id } of scenarios) expect(out).toContain(id);
  const shown = await lab(["scenario", "show", "tikv/store-hang", "--json"]);
  expect(JSON.parse(shown.out)).toMatchObject({ id: "tikv/store-hang", faults: [{ kind: "hang" }] });
});

test("new writes a file that is valid, and no file twice; validate names the line that is wrong", async () => {
  const file = join(folderOfThisTest(), "Mine One.yaml");
  expect(await lab(["scenario", "new", file, "--from", "tikv/store-hang"])).toMatchObject({ code: 0 });
  expect((await lab(["scenario", "show", file])).out).toContain("id: my/mine-one");
  expect(await lab(["scenario", "validate", file])).toMatchObject({ code: 0 });
  expect(await lab(["scenario", "new", file])).toMatchObject({ code: EXIT.usage });
  const lines = readFileSync(file, "utf8").split("\n");
  const at = lines.findIndex((line) => line.startsWith("control:"));
  writeFileSync(file, lines.with(at, "control: perhaps").join("\n"));
  const refused = await lab(["scenario", "validate", file]);
  expect(refused.code).toBe(EXIT.usage);
  expect(refused.out + refused.err).toContain(`line ${at + 1}`);
});

test("an id that is not there is said, with what to do", async () => {
  const missing = await lab(["scenario", "show", "tikv/store-kil"]);
  expect(missing.code).toBe(EXIT.notFound);
  expect(missing.err).toContain("there are: tikv/store-kill, ");
});
