import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLog } from "../../harness/control/server/log-cursor.ts";
import type { Component, Engine, EpochMs, LogLine } from "../../harness/protocol.ts";

const tikv1 = "tikv1" as Component;
const signal = new AbortController().signal;

/** A log that grows as it is told, and keeps only its newest lines. */
class Log implements Pick<Engine, "logs"> {
  lines: LogLine[] = [];
  say(at: number, text: string, stream: LogLine["stream"] = "stdout"): void {
    this.lines.push({ at: at as EpochMs, text, stream });
  }
  async logs(_: Component, { tail, since }: { tail?: number; since?: EpochMs }): Promise<readonly LogLine[]> {
    const found = this.lines.filter(({ at }) => since === undefined || (at ?? 0) >= since);
    return tail === undefined ? found : tail === 0 ? [] : found.slice(-tail);
  }
}

describe("the cursor of a log", () => {
  test("reads every line once, whatever the pages, bursts within a millisecond, and streams slightly out of order", async () => {
    const burst = fc.record({
      stepMs: fc.integer({ min: 0, max: 3_000 }),
      lines: fc.array(fc.record({ lateMs: fc.integer({ min: 0, max: 1_500 }), text: fc.constantFrom("a", "b") }), {
        maxLength: 12,
      }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(burst, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 0, max: 5 }),
        async (bursts, limit, tail) => {
          const log = new Log();
          let [at, n] = [10_000, 0];
          for (let i = 0; i < 5; i++) log.say(at, `before ${n++}`);
          const first = await readLog(log, tikv1, { tail }, signal);
          const read = [...first.lines];
          let { cursor } = first;
          for (const { stepMs, lines } of bursts) {
            at += stepMs;
            // Every line is another, as no two lines of a real log say the same of the same millisecond.
            for (const { lateMs, text } of lines) log.say(at - lateMs, `${text} ${n++}`, "stderr");
            const page = await readLog(log, tikv1, { cursor, limit }, signal);
            expect(page.gap).toBe(false);
            read.push(...page.lines);
            cursor = page.cursor;
          }
          for (;;) {
            const page = await readLog(log, tikv1, { cursor, limit }, signal);
            read.push(...page.lines);
            cursor = page.cursor;
            if (!page.more) break;
          }
          expect(read).toEqual(log.lines.slice(5 - tail));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("goes on where it was when the wall clock went back", async () => {
    const log = new Log();
    log.say(100_000, "one");
    const { cursor } = await readLog(log, tikv1, {}, signal);
    log.say(40_000, "two");
    const next = await readLog(log, tikv1, { cursor }, signal);
    expect(next).toMatchObject({ lines: [{ text: "two" }], gap: false });
    log.say(41_000, "three");
    expect((await readLog(log, tikv1, { cursor: next.cursor }, signal)).lines).toMatchObject([{ text: "three" }]);
  });

  test("says that lines may be missing when the container is a new one or the log was cut", async () => {
    const log = new Log();
    for (let n = 0; n < 5; n++) log.say(1_000 + n, `old ${n}`);
    const { cursor } = await readLog(log, tikv1, { tail: 2 }, signal);
    log.lines = [];
    expect(await readLog(log, tikv1, { cursor }, signal)).toMatchObject({ lines: [], gap: true });
    log.say(9_000, "new 0");
    log.say(9_001, "new 1");
    const page = await readLog(log, tikv1, { cursor }, signal);
    expect(page).toMatchObject({ lines: [{ text: "new 0" }, { text: "new 1" }], gap: true });
    expect(await readLog(log, tikv1, { cursor: page.cursor }, signal)).toMatchObject({ lines: [], gap: false });
  });

  test("a log of any length is read in bounded pieces: who is far behind is told of a gap, and then misses nothing", async () => {
    const log = new Log();
    let most = 0;
    const bounded: Pick<Engine, "logs"> = {
      async logs(component, what) {
        const lines = await log.logs(component, what);
        most = Math.max(most, lines.length);
        return lines;
      },
    };
    const { cursor } = await readLog(bounded, tikv1, {}, signal);
    for (let n = 0; n < 120_000; n++) log.say(10_000 + n, `line ${n}`);
    let page = await readLog(bounded, tikv1, { cursor, limit: 5_000 }, signal);
    expect([page.gap, page.lines[0]?.text]).toEqual([true, "line 70000"]);
    const read = [...page.lines];
    while (page.more) {
      page = await readLog(bounded, tikv1, { cursor: page.cursor, limit: 5_000 }, signal);
      expect(page.gap).toBe(false);
      read.push(...page.lines);
    }
    expect(read).toEqual(log.lines.slice(70_000));
    expect(most).toBeLessThanOrEqual(50_000);
  });

  test("begins at the end with tail 0, and takes no cursor that is none of ours", async () => {
    const log = new Log();
    log.say(1, "before");
    const { cursor, lines } = await readLog(log, tikv1, { tail: 0 }, signal);
    expect(lines).toEqual([]);
    log.say(1, "after");
    expect((await readLog(log, tikv1, { cursor }, signal)).lines).toMatchObject([{ text: "after" }]);
    await expect(readLog(log, tikv1, { cursor: "nonsense" }, signal)).rejects.toMatchObject({ code: "usage" });
  });
});
