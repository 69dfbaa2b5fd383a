import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { DiskInspector } from "../../subjects/tikv/stand-in/tikv/disk-inspector.ts";

it("a disk is inspected with writes of its own while nobody writes, and a write that hangs raises the score", async () => {
  const folder = mkdtempSync(join(tmpdir(), "disk-inspector-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const observed: number[] = [];
  using inspector = new DiskInspector({
    folder,
    clock: systemClock,
    timeFactor: 0.1,
    observe: (seconds) => observed.push(seconds),
  });
  const stop = new AbortController();
  const running = inspector.run(stop.signal);
  const until = (ask: () => boolean, what: string) =>
    waitFor(ask, { clock: systemClock, timeoutMs: 20_000, everyMs: 20, what });
  await until(() => observed.length >= 3, "some inspections");
  inspector.writing(systemClock.monotonic());
  await until(() => inspector.score >= 8, "the score to rise");
  inspector.writing(null);
  const [high, count] = [inspector.score, observed.length];
  expect(high).toBeLessThanOrEqual(100);
  await until(() => inspector.score < high && observed.length > count, "it to fall again");
  stop.abort();
  await running;
});
