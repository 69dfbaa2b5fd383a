import { appendFile, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogRing } from "../../harness/engine/process/log-ring.ts";
import { ManualClock } from "../support/manual-clock.ts";
import type { EpochMs } from "../../harness/protocol.ts";

let folder: string;
let clock: ManualClock;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "ring-"));
  clock = new ManualClock();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ring = (maxFileBytes?: number): LogRing =>
  new LogRing({
    folder,
    component: "node",
    clock,
    clean: (text) => text.replaceAll("/our/folder/", ""),
    ...(maxFileBytes === undefined ? {} : { maxFileBytes }),
  });
const texts = async (log: LogRing, options = {}): Promise<string[]> =>
  (await log.read(options)).map(({ text }) => text);

describe("a component's log", () => {
  test("joins pieces to lines, also within a character, and keeps the streams apart", async () => {
    const log = ring();
    const bytes = Buffer.from("größe=1\r\nzwei");
    log.push("stdout", bytes.subarray(0, 3));
    log.push("stderr", Buffer.from("careful\n"));
    log.push("stdout", bytes.subarray(3));
    expect(await texts(log)).toEqual(["careful", "größe=1"]);
    log.flush();
    expect(await log.read({})).toEqual([
      { stream: "stderr", at: clock.now(), text: "careful" },
      { stream: "stdout", at: clock.now(), text: "größe=1" },
      { stream: "stdout", at: clock.now(), text: "zwei" },
    ]);
  });

  test("reads the end, and from a moment on", async () => {
    const log = ring();
    for (const text of ["a", "b", "c"]) {
      log.push("stdout", Buffer.from(`${text}\n`));
      await clock.advance(1_000);
    }
    expect(await texts(log, { tail: 2 })).toEqual(["b", "c"]);
    expect(await texts(log, { tail: 0 })).toEqual([]);
    expect(await texts(log, { since: (clock.now() - 2_000) as EpochMs })).toEqual(["b", "c"]);
    expect(await texts(log, { since: (clock.now() - 2_000) as EpochMs, tail: 1 })).toEqual(["c"]);
  });

  test("stays within twice its bound and loses only the oldest", async () => {
    const log = ring(10_000);
    for (let index = 0; index < 2_000; index++) log.push("stdout", Buffer.from(`line ${index}\n`));
    const sizes = await Promise.all((await readdir(folder)).map(async (f) => (await stat(path.join(folder, f))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(21_000);
    const kept = await texts(log);
    expect(kept.at(-1)).toBe("line 1999");
    expect(kept).toEqual(kept.map((_, index) => `line ${2_000 - kept.length + index}`));
  });

  test("goes on after it was opened again; a new container's is empty", async () => {
    const first = ring();
    first.push("stdout", Buffer.from("one\n"));
    first.close();
    const second = ring();
    second.push("stdout", Buffer.from("two\n"));
    expect(await texts(second)).toEqual(["one", "two"]);
    second.clear();
    expect(await texts(second)).toEqual([]);
  });

  test("survives a disk that takes no more, and a row that was cut short", async () => {
    const log = ring();
    log.push("stdout", Buffer.from("before\n"));
    log.close();
    await appendFile(path.join(folder, "node.jsonl"), '[17,1,"cut sh');
    await rename(folder, `${folder}-gone`);
    log.push("stdout", Buffer.from("lost\n"));
    await rename(`${folder}-gone`, folder);
    log.push("stdout", Buffer.from("\nafter\n"));
    log.push("stdout", Buffer.from("last\n"));
    expect(await texts(log)).toEqual(expect.arrayContaining(["before", "last"]));
  });

  test("does not keep our paths, nor a line without an end", async () => {
    const log = ring();
    log.push("stderr", Buffer.from("at /our/folder/main.ts:3\n"));
    log.push("stdout", Buffer.from("x".repeat(40_000)));
    const [first, second] = await texts(log);
    expect(first).toBe("at main.ts:3");
    expect(second).toHaveLength(16_384);
  });
});
