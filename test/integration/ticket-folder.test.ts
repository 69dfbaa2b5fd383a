import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { silentLog } from "../../harness/base/log.ts";
import type { InstanceId } from "../../harness/protocol.ts";
import { openOutsideFolder, settleOutsideFolders } from "../../harness/trial/outside-folder.ts";

const id = "0a1b2c3d" as InstanceId;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "folder-"));
  vi.stubEnv("XDG_STATE_HOME", join(root, "state"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

test("a trial's tickets lie where their path names no scenario, and in the run's folder when it is over", async () => {
  const place = join(root, "runs", "tikv--store-kill", "tickets");
  const folder = await openOutsideFolder("tickets", place, { instance: id, stateDir: root }, silentLog);
  expect(folder.path).toBe(join(root, "state", `tickets-${id}`));
  expect(lstatSync(folder.path).mode & 0o777).toBe(0o700);
  writeFileSync(join(folder.path, "tickets.db"), "rows");
  // Whoever looks into the run's folder meanwhile, or after the lab was killed, finds them.
  expect(readFileSync(join(place, "tickets.db"), "utf8")).toBe("rows");
  await folder[Symbol.asyncDispose]();
  expect(lstatSync(place).isDirectory()).toBe(true);
  expect(readFileSync(join(place, "tickets.db"), "utf8")).toBe("rows");
  expect(readdirSync(join(place, ".."))).toEqual([basename(place)]);
  expect(readdirSync(join(root, "state"))).toEqual([]);
});

test("what a killed trial left behind is moved to its run's folder by whoever cleans up; once is enough", async () => {
  const place = join(root, "runs", "tikv--store-kill", "tickets");
  const folder = await openOutsideFolder("tickets", place, { instance: id, stateDir: root }, silentLog);
  writeFileSync(join(folder.path, "tickets.db"), "rows");
  await settleOutsideFolders(root);
  await settleOutsideFolders(root);
  expect(lstatSync(place).isDirectory()).toBe(true);
  expect(readFileSync(join(place, "tickets.db"), "utf8")).toBe("rows");
  expect(readdirSync(join(root, "state"))).toEqual([]);
});

test("a run's folder that is gone is not made again", async () => {
  const place = join(root, "runs", "tikv--store-kill", "tickets");
  await openOutsideFolder("tickets", place, { instance: id, stateDir: root }, silentLog);
  rmSync(join(root, "runs"), { recursive: true });
  await settleOutsideFolders(root);
  expect(readdirSync(root).toSorted()).toEqual(["state", "ticket-folder.json"]);
  expect(readdirSync(join(root, "state"))).toEqual([]);
});

test("one that cannot be made is said in a sentence", async () => {
  mkdirSync(join(root, "state"));
  writeFileSync(join(root, "state", `tickets-${id}`), "");
  await expect(
    openOutsideFolder("tickets", join(root, "tickets"), { instance: id, stateDir: root }, silentLog),
  ).rejects.toMatchObject({
    code: "store-failed",
    message: expect.stringMatching(/^cannot make the trial's ticket folder .*tickets-0a1b2c3d/),
  });
});
