import { describe, expect, test } from "vitest";
import { z } from "zod";
import { EngineError } from "../../harness/base/errors.ts";
import { silentLog } from "../../harness/base/log.ts";
import { createCaller } from "../../harness/agent/caller.ts";
import { maskerOf, Transcript, type TranscriptEntry } from "../../harness/agent/transcript.ts";
import type { Effect, SafetyMode, Tool, ToolResult } from "../../harness/protocol.ts";
import { LeaseLostError } from "../../tickets/index.ts";
import { ManualClock } from "../support/manual-clock.ts";

const input = z.strictObject({ reason: z.string().min(10) });
const because = { reason: "the test wants it so" };

function tool(name: string, effect: Effect, run: () => Promise<ToolResult>): Tool {
  return { name, description: name, input, effect: () => effect, run };
}
const said = (text: string): ToolResult => ({ text, isError: false });

function bench(
  tools: readonly Tool[],
  options: { mode?: SafetyMode; checkLease?: () => void; secrets?: string[] } = {},
) {
  const clock = new ManualClock();
  const entries: TranscriptEntry[] = [];
  const aborted: unknown[] = [];
  const sinks: { fail: Error | null } = { fail: null };
  const transcript = new Transcript({
    clock,
    log: silentLog,
    mask: maskerOf(options.secrets ?? []),
    sink: async (entry) => {
      if (sinks.fail !== null) throw sinks.fail;
      entries.push(entry);
    },
  });
  const call = createCaller({
    tools,
    mode: options.mode ?? "execute",
    transcript,
    checkLease: options.checkLease ?? (() => {}),
    abort: (reason) => aborted.push(reason),
  });
  const { signal } = new AbortController();
  return { clock, entries, aborted, sinks, call: (name: string, raw: unknown = because) => call(name, raw, signal) };
}

describe("what is refused", () => {
  test("unknown tools, wrong input, unknown fields, no reason: text for the operator, kept in the transcript", async () => {
    const { call, entries } = bench([tool("look", "read", async () => said("seen"))]);
    expect(await call("shell")).toMatchObject({ isError: true, text: "there is no tool shell; there are: look" });
    for (const raw of [null, {}, { reason: "short" }, { ...because, more: 1 }, "text"])
      expect(await call("look", raw)).toMatchObject({ isError: true });
    expect(entries.filter(({ type }) => type === "tool_result")).toHaveLength(6);
    expect(entries.every(({ effect }) => effect === null)).toBe(true);
  });

  test("in observe mode everything that is not reading", async () => {
    let ran = 0;
    const act = (name: string, effect: Effect) => tool(name, effect, async () => said(String(++ran)));
    const { call } = bench([act("look", "read"), act("do", "write"), act("destroy", "destructive")], {
      mode: "observe",
    });
    expect((await call("look")).isError).toBe(false);
    expect((await call("do")).text).toMatch(/observe mode/);
    expect((await call("destroy")).text).toMatch(/observe mode/);
    expect(ran).toBe(1);
  });

  test("a tool's own failure is an answer", async () => {
    const { call, aborted } = bench([
      tool("look", "read", () => Promise.reject(new EngineError("wrong-state", "it does not run"))),
    ]);
    expect(await call("look")).toMatchObject({ isError: true, text: "it does not run", exitCode: 1 });
    expect(aborted).toEqual([]);
  });
});

describe("what ends the session", () => {
  test.each([new EngineError("engine-unreachable", "gone"), new TypeError("a defect")])("%s", async (failure) => {
    const { call, aborted } = bench([tool("look", "read", () => Promise.reject(failure))]);
    await expect(call("look")).rejects.toBe(failure);
    expect(aborted).toEqual([failure]);
  });

  test("a transcript that cannot be written: nothing is done unseen", async () => {
    let ran = false;
    const { call, sinks, aborted } = bench([tool("do", "write", async () => said(String((ran = true))))]);
    sinks.fail = new Error("disk full");
    await expect(call("do")).rejects.toThrow("disk full");
    expect(ran).toBe(false);
    expect(aborted).toEqual([sinks.fail]);
  });

  test("a lost lease: asked just before every act, and not for reading", async () => {
    let ran = 0;
    const lost = new LeaseLostError("somebody else has it");
    const { call, aborted } = bench(
      [tool("look", "read", async () => said("seen")), tool("do", "write", async () => said(String(++ran)))],
      {
        checkLease: () => {
          throw lost;
        },
      },
    );
    expect((await call("look")).text).toBe("seen");
    await expect(call("do")).rejects.toBe(lost);
    expect(ran).toBe(0);
    expect(aborted).toEqual([lost]);
  });
});

describe("order", () => {
  test("writes run one at a time in the order asked, reading goes on beside them", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const events: string[] = [];
    const act = (name: string, wait: Promise<void> | null) =>
      tool(name, "write", async () => {
        events.push(`${name} begins`);
        begun.resolve();
        await wait;
        events.push(`${name} ends`);
        return said("done");
      });
    const { call, entries } = bench([
      act("first", gate.promise),
      act("second", null),
      tool("look", "read", async () => said(String(events.push("look")))),
    ]);
    const writes = [call("first"), call("second")];
    await begun.promise;
    await call("look");
    gate.resolve();
    await Promise.all(writes);
    expect(events).toEqual(["first begins", "look", "first ends", "second begins", "second ends"]);
    expect(entries.map(({ type, tool: name }) => `${type} ${name}`)).toEqual([
      "tool_call first",
      "tool_call look",
      "tool_result look",
      "tool_result first",
      "tool_call second",
      "tool_result second",
    ]);
  });

  test("the last word waits for the writes before it, and nothing is changed after it", async () => {
    const gate = Promise.withResolvers<void>();
    const events: string[] = [];
    const act = (name: string, effect: Effect, wait: Promise<void> | null) =>
      tool(name, effect, async () => {
        await wait;
        events.push(name);
        return said("done");
      });
    const { call } = bench([
      act("first", "write", gate.promise),
      act("late", "write", null),
      act("look", "read", null),
      act("submit_diagnosis", "read", null),
    ]);
    const calls = [call("first"), call("submit_diagnosis"), call("late"), call("look")];
    await calls[3];
    gate.resolve();
    const results = await Promise.all(calls);
    expect(events).toEqual(["look", "first", "submit_diagnosis"]);
    expect(results[2]).toMatchObject({ isError: true, text: expect.stringContaining("the work has ended") });
  });

  test("a write that fails does not keep the next one waiting", async () => {
    const { call } = bench([
      tool("fails", "write", () => Promise.reject(new EngineError("not-found", "no such thing"))),
      tool("works", "write", async () => said("done")),
    ]);
    const [first, second] = await Promise.all([call("fails"), call("works")]);
    expect([first?.isError, second?.isError]).toEqual([true, false]);
  });
});

describe("what comes back", () => {
  test("too much: head and tail with a marker; the transcript has it all", async () => {
    const long = `first${"x".repeat(50_000)}last`;
    const { call, entries } = bench([tool("look", "read", async () => said(long))]);
    const { text } = await call("look");
    expect(text.length).toBeLessThan(12_200);
    expect(text).toMatch(/^first.*\n\[… \d+ characters left out …\]\n.*last$/s);
    expect(entries.at(-1)?.raw).toBe(long);
    expect(entries.at(-1)?.summary.length).toBeLessThan(500);
  });

  test("binary is named, not shown; colour codes are removed; half a character is never sent", async () => {
    const { call } = bench([
      tool("binary", "read", async () => said("\u0000\u0001ELF")),
      tool("colour", "read", async () => said("\u001b[31mred\u001b[0m")),
      tool("cut", "read", async () => said("😀".repeat(20_001))),
    ]);
    expect((await call("binary")).text).toBe("[binary output, 5 characters, not shown]");
    expect((await call("colour")).text).toBe("red");
    expect((await call("cut")).text.isWellFormed()).toBe(true);
  });

  test("start and end of each call; secrets are masked wherever they stand", async () => {
    const key = "sk-very-secret-key";
    const { call, clock, entries } = bench([tool("look", "read", async () => said(`found ${key}`))], {
      secrets: [key],
    });
    const pending = call("look", { reason: `because of ${key} of course` });
    await pending;
    await clock.advance(5);
    expect(JSON.stringify(entries)).not.toContain(key);
    expect(entries[1]).toMatchObject({ call: 1, startedAt: entries[0]?.startedAt, exitCode: 0 });
    expect(entries[1]?.endedAt).not.toBeNull();
  });
});
