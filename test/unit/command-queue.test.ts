import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { CommandReport } from "../../harness/control/contract.ts";
import { CommandQueue } from "../../harness/control/queue/command-queue.ts";
import type { EpochMs } from "../../harness/protocol.ts";

const KIB = 1_024;

function endOf(id: string, printed: string): CommandReport {
  return {
    command_id: id,
    status: "failed",
    result: {
      operation: "exec",
      container: "tikv1",
      duration_secs: 1,
      exit_code: 3,
      stdout: printed,
      stderr: printed,
      data: { stdout: printed },
    },
    error: "exit code 3",
    error_code: "engine-failed",
    completed_at: "2026-01-01T00:00:00.000Z",
    executed_by: "compose_agent",
  };
}

test("what commands printed takes so much room and no more: the oldest lose it, and how they ended stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "queue-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  let now = 1_000;
  const open = () => new CommandQueue(folder, () => now as EpochMs, 1_024 * KIB);
  const run = (queue: CommandQueue, id: string, printed: string) => {
    const [plane, executor] = ["compose_agent", "server"] as const;
    const expiresAt = (now + 60_000) as EpochMs;
    const asked = { commandId: id, bodyDigest: "d", caller: "tester", name: "exec", request: {}, expiresAt };
    const { seq } = queue.begin({ plane, idempotencyKey: id, executor, ...asked }, "worker", now);
    now += 1;
    queue.finish(seq, endOf(id, printed));
  };
  const printedBy = (queue: CommandQueue, id: string) => queue.find("compose_agent", id)?.report?.result?.stdout.length;
  {
    using queue = open();
    run(queue, "short", "a word");
    for (let n = 0; n < 3; n++) run(queue, `long-${n}`, "x".repeat(100 * KIB));
    expect(printedBy(queue, "long-0")).toBe(100 * KIB);
  }
  // Counted on after a restart, too.
  using queue = open();
  for (let n = 3; n < 40; n++) run(queue, `long-${n}`, "x".repeat(100 * KIB));
  const left = Array.from({ length: 40 }, (_, n) => printedBy(queue, `long-${n}`) === 100 * KIB);
  expect(left.filter(Boolean).length).toBeGreaterThan(0);
  expect(left.filter(Boolean).length * 300 * KIB).toBeLessThanOrEqual(1_024 * KIB);
  expect(left.at(-1)).toBe(true);
  expect(printedBy(queue, "short")).toBe("a word".length);
  expect(queue.find("compose_agent", "long-0")?.report).toMatchObject({
    status: "failed",
    error: "exit code 3",
    result: { exit_code: 3, stdout: "(what it printed is not kept any more)\n", data: null },
  });
});
