import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readBaseline, writeBaseline } from "../../harness/trial/baseline-file.ts";
import { completedRecord } from "../support/records.ts";
import { ticketFolder as folderOfThisTest } from "../support/ticket-folder.ts";

const record = completedRecord();
const of = { scenario: record.scenario.id, engine: record.engine, timeFactor: record.timeFactor };
const KEY = record.baselineKey;

test("stored runs come back for their own key alone, without the trials that the lab broke", async () => {
  const folder = folderOfThisTest();
  expect(await readBaseline(folder, of, KEY)).toBeNull();
  const broken = completedRecord({ id: "broken", status: "void" });
  await writeBaseline(folder, [completedRecord({ id: "a", seed: 1 }), broken, completedRecord({ id: "b", seed: 2 })]);
  const stored = await readBaseline(folder, of, KEY);
  expect(stored?.runs.map(({ id, seed }) => [id, seed])).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
  expect(stored?.runs[0]?.predicates).toHaveLength(record.scenario.hypothesis.length);
  expect(await readBaseline(folder, of, "another build")).toBeNull();
  expect(await readBaseline(folder, { ...of, timeFactor: 1 }, KEY)).toBeNull();
});

test("trials of different keys are no baseline, nor are none", async () => {
  const folder = folderOfThisTest();
  const other = completedRecord({ baselineKey: "another" });
  await expect(writeBaseline(folder, [record, other])).rejects.toMatchObject({ code: "store-failed" });
  await expect(writeBaseline(folder, [completedRecord({ status: "void" })])).rejects.toThrow(/no completed trial/);
});

test("a damaged file is named", async () => {
  const folder = folderOfThisTest();
  writeFileSync(await writeBaseline(folder, [record]), "{");
  await expect(readBaseline(folder, of, KEY)).rejects.toThrow(/store-kill.*\.json is not a baseline: it is not JSON/);
  writeFileSync(await writeBaseline(folder, [record]), "{}");
  await expect(readBaseline(folder, of, KEY)).rejects.toMatchObject({ code: "store-failed" });
});
