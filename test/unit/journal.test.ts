import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { randomIds } from "../../harness/base/ids.ts";
import { InjectionJournal } from "../../harness/faults/journal.ts";
import type { Component } from "../../harness/protocol.ts";
import { ManualClock } from "../support/manual-clock.ts";

let folder: string;
const spec = { kind: "kill", target: "tikv1" as Component, params: {} };
const open = () => new InjectionJournal(join(folder, "injections.jsonl"), { clock: new ManualClock(), ids: randomIds });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-"));
});
afterEach(() => rm(folder, { recursive: true }));

it("tells a later process what is still open, newest first", async () => {
  const journal = open();
  const first = await journal.intend(spec);
  await journal.injected(first);
  const second = await journal.intend({ ...spec, target: "tikv2" as Component });
  expect((await open().pending()).map(({ spec: { target } }) => target)).toEqual(["tikv2", "tikv1"]);
  await journal.healed(second);
  await journal.healed(first);
  expect(await open().pending()).toEqual([]);
});

it("has the intent on disk before it returns", async () => {
  await open().intend(spec);
  expect(await readFile(join(folder, "injections.jsonl"), "utf8")).toMatch(/"what":"intent".*"target":"tikv1"/);
});

it("ignores a line that a crash cut, also when later lines follow it", async () => {
  await open().intend(spec);
  await appendFile(join(folder, "injections.jsonl"), '{"id":"x","at"');
  expect(await open().pending()).toHaveLength(1);
  await open().intend(spec);
  expect(await open().pending()).toHaveLength(2);
});

it("names a whole line that is none of its own", async () => {
  await open().intend(spec);
  await appendFile(join(folder, "injections.jsonl"), '{"id":"x"}\n');
  await expect(open().pending()).rejects.toThrow(/injections.jsonl, line \d+: .*heal by hand/s);
});
