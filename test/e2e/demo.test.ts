import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readRecord } from "../../harness/store/run-folder.ts";
import { labHome } from "../support/lab-process.ts";

/** Figures, ids and who was hit differ from run to run; everything else is fixed. */
function masked(text: string): string {
  return text
    .replace(/\d+(,\d{3})*(\.\d+)?/g, "N")
    .replace(/ and N more/g, "")
    .replace(/ticket #N at N s: .*/, "ticket #N at N s: MESSAGE")
    .replace(/^(without an operator|no stored runs|as soon without).*$/m, "CREDIT")
    .replace(/^record: .*/m, "record: FOLDER");
}

test("the demo breaks a store, sees it repaired and ends with a pass", async () => {
  await using home = await labHome();
  const demo = home.run("demo");
  expect(await demo.ended, demo.stdout() + demo.stderr()).toBe(0);

  const ending = demo.stdout().slice(demo.stdout().indexOf("\nTiKV stand-in, time factor"));
  const golden = await readFile(resolve(import.meta.dirname, "demo.golden.txt"), "utf8");
  expect(masked(ending).trim()).toBe(golden.trim());

  const folder = /^record: (.*)$/m.exec(demo.stdout())?.[1] ?? "";
  const record = await readRecord(resolve(home.folder, folder));
  expect(record).toMatchObject({
    status: "completed",
    attestation: { after: "gone" },
    grade: { verdict: "pass", diagnosed: { right: true } },
  });

  const again = home.run("grade", folder, "--json");
  expect(await again.ended, again.stderr()).toBe(0);
  expect(JSON.parse(again.stdout()), "the folder alone gives the same record").toEqual(record);
  expect(await home.instances(), "nothing is left").toEqual([]);
});
