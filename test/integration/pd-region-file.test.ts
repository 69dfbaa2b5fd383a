import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { nodeLog } from "../../subjects/tikv/stand-in/node-log.ts";
import { RegionFile } from "../../subjects/tikv/stand-in/pd/region-file.ts";
import { heardFromNobody, type Region } from "../../subjects/tikv/stand-in/pd/regions.ts";

let folder: string;
let logs: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "regions-"));
  logs = "";
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = () =>
  RegionFile.open({
    folder,
    clock: systemClock,
    log: nodeLog({ clock: systemClock, write: (line) => (logs += line) }),
    onFatal: (error) => {
      throw error;
    },
  });
const peer = (id: number) => ({ id, storeId: id % 10, role: 0 });
const region = (id: number, startKey: string, endKey: string, version = 1): Region => {
  const peers = [1, 2, 3].map((n) => peer(id * 10 + n));
  return { ...heardFromNobody, id, startKey, endKey, confVer: 1, version, peers, leader: peers[0] ?? null, term: 7 };
};

test("shapes are there the next time, leaders and terms are not, and a newer report is taken", async () => {
  {
    await using file = await open();
    file.regions.put(region(1, "", "6b"));
    file.regions.put(region(2, "6b", ""));
  }
  await using file = await open();
  expect(file.regions.all()).toEqual(
    [region(1, "", "6b"), region(2, "6b", "")].map((each) => ({ ...each, leader: null, term: 0 })),
  );
  expect(file.regions.put({ ...region(2, "6b", ""), term: 1 })).toBe(true);
  expect(file.regions.get(2)?.leader).toEqual(peer(21));
});

test("what a split replaced is gone from it", async () => {
  {
    await using file = await open();
    file.regions.put(region(1, "", ""));
    file.regions.put(region(1, "", "6b", 2));
    file.regions.put(region(2, "6b", "", 2));
  }
  await using file = await open();
  expect(file.regions.all().map(({ id, endKey }) => [id, endKey])).toEqual([
    [1, "6b"],
    [2, ""],
  ]);
});

test("a report that changes no shape writes nothing", async () => {
  await using file = await open();
  file.regions.put(region(1, "", ""));
  await file[Symbol.asyncDispose]();
  const [name] = await readdir(folder);
  const path = join(folder, name as string);
  const before = await readFile(path, "utf8");
  await writeFile(path, "untouched");
  file.regions.put({ ...region(1, "", ""), term: 8, writtenBytes: 100 });
  await file[Symbol.asyncDispose]();
  expect(await readFile(path, "utf8")).toBe("untouched");
  expect(before).not.toContain("leader");
});

test("a damaged file is passed over, and said", async () => {
  {
    await using file = await open();
    file.regions.put(region(1, "", ""));
  }
  const [name] = await readdir(folder);
  await writeFile(join(folder, name as string), '[{"id":1,');
  await using file = await open();
  expect(file.regions.count).toBe(0);
  expect(logs).toContain("load regions failed");
});
