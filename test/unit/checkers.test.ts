import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAcknowledgedWrites, countWrites } from "../../harness/checkers/acknowledged-writes.ts";
import { clientView } from "../../harness/checkers/client-view.ts";
import { checkIntegrity } from "../../harness/checkers/integrity.ts";
import { mergeVerdicts, runChecker } from "../../harness/checkers/merge.ts";
import { checkReads } from "../../harness/checkers/reads.ts";
import type { Operation, Verdict } from "../../harness/protocol.ts";

const op = (fields: Partial<Operation>): Operation => ({
  client: 0,
  kind: "write",
  key: "a",
  value: "va",
  outcome: "ok",
  startedMs: 0,
  endedMs: 1,
  error: null,
  ...fields,
});

/** A store that takes each write at one instant within it and shows each read the state of one instant within it. */
const correctRun = fc
  .array(
    fc.record({
      startedMs: fc.integer({ min: 0, max: 500 }),
      lengthMs: fc.integer({ min: 0, max: 50 }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      outcome: fc.constantFrom<Operation["outcome"]>("ok", "ok", "failed", "unknown"),
      /** Whether an unknown write took effect, and when, if late. */
      lands: fc.boolean(),
      lateMs: fc.integer({ min: 0, max: 300 }),
      readOf: fc.option(fc.nat()),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((draws) => {
    const effectAt = new Map<string, number>();
    const writes = draws.map((draw, n): Operation => {
      const key = `k${n}`;
      const endedMs = draw.startedMs + draw.lengthMs;
      const inside = draw.startedMs + draw.at * draw.lengthMs;
      if (draw.outcome === "ok") effectAt.set(key, inside);
      if (draw.outcome === "unknown" && draw.lands) effectAt.set(key, draw.startedMs + draw.at * draw.lateMs);
      return op({ key, value: `v${n}`, outcome: draw.outcome, startedMs: draw.startedMs, endedMs });
    });
    const reads = draws.flatMap((draw): Operation[] => {
      if (draw.readOf === null) return [];
      const n = draw.readOf % draws.length;
      const startedMs = 600 - draw.startedMs;
      const endedMs = startedMs + draw.lengthMs;
      const seen = (effectAt.get(`k${n}`) ?? Infinity) <= startedMs + draw.at * draw.lengthMs;
      return [op({ kind: "read", key: `k${n}`, value: seen ? `v${n}` : null, startedMs, endedMs })];
    });
    const final = new Map([...effectAt.keys()].map((key) => [key, key.replace("k", "v")]));
    const history = [...writes, ...reads].toSorted((a, b) => a.endedMs - b.endedMs);
    return { history, final };
  });

describe("integrity", () => {
  test("no history of a correct store fails", () => {
    fc.assert(
      fc.property(correctRun, ({ history, final }) => {
        expect(checkIntegrity(history, final).verdict.verdict).not.toBe("fail");
        expect(countWrites(history, final).lost).toBe(0);
      }),
    );
  });

  test("an acknowledged write that is gone is always found, and named", () => {
    fc.assert(
      fc.property(correctRun, fc.nat(), ({ history, final }, pick) => {
        const acknowledged = history.filter((entry) => entry.kind === "write" && entry.outcome === "ok");
        fc.pre(acknowledged.length > 0);
        const lost = acknowledged[pick % acknowledged.length]!;
        const without = new Map([...final].filter(([key]) => key !== lost.key));
        expect(checkIntegrity(history, without)).toMatchObject({
          verdict: {
            verdict: "fail",
            predicate: "acknowledged write is present",
            witness: { write: lost, found: null },
          },
          lost: 1,
        });
      }),
    );
  });

  test("a stale read after an acknowledgement is always found", () => {
    fc.assert(
      fc.property(correctRun, fc.nat(), fc.integer({ min: 1, max: 100 }), ({ history }, pick, after) => {
        const acknowledged = history.filter((entry) => entry.kind === "write" && entry.outcome === "ok");
        fc.pre(acknowledged.length > 0);
        const write = acknowledged[pick % acknowledged.length]!;
        const startedMs = write.endedMs + after;
        const stale = op({ kind: "read", key: write.key, value: null, startedMs, endedMs: startedMs + 1 });
        expect(checkReads([...history, stale]).verdict).toBe("fail");
      }),
    );
  });

  test("the verdict does not depend on the order of the history", () => {
    fc.assert(
      fc.property(correctRun, fc.array(fc.nat()), ({ history, final }, keys) => {
        const shuffled = history.toSorted((a, b) => (keys[a.startedMs] ?? 0) - (keys[b.startedMs] ?? 0));
        expect(checkIntegrity(shuffled, final)).toEqual(checkIntegrity(history, final));
      }),
    );
  });

  test.each<[string, Operation[], [string, string][], Verdict["verdict"]]>([
    [
      "an unknown write that landed",
      [op({}), op({ key: "b", value: "vb", outcome: "unknown" })],
      [
        ["a", "va"],
        ["b", "vb"],
      ],
      "pass",
    ],
    [
      "an unknown write that did not",
      [op({}), op({ key: "b", value: "vb", outcome: "unknown" })],
      [["a", "va"]],
      "pass",
    ],
    [
      "a failed write that is there",
      [op({}), op({ key: "b", value: "vb", outcome: "failed" })],
      [
        ["a", "va"],
        ["b", "vb"],
      ],
      "fail",
    ],
    ["another value than was written", [op({})], [["a", "other"]], "fail"],
    [
      "a key that nobody wrote",
      [op({})],
      [
        ["a", "va"],
        ["z", "vz"],
      ],
      "fail",
    ],
    ["nothing acknowledged", [op({ outcome: "unknown" })], [], "unknown"],
    ["a key written twice", [op({}), op({})], [["a", "va"]], "unknown"],
    [
      "an unknown write that was read and is gone",
      [op({ key: "b", value: "vb" }), op({ outcome: "unknown" }), op({ kind: "read", startedMs: 5, endedMs: 6 })],
      [["b", "vb"]],
      "fail",
    ],
  ])("%s", (_, history, final, verdict) => {
    expect(checkAcknowledgedWrites(history, new Map(final)).verdict).toBe(verdict);
  });

  test("a state that could not be read is unknown, and how many are lost is not known", () => {
    expect(checkIntegrity([op({})], null)).toMatchObject({
      verdict: { verdict: "unknown" },
      acknowledged: 1,
      lost: null,
    });
  });

  test("a stale read fails even when the final state could not be read", () => {
    const stale = op({ kind: "read", value: null, startedMs: 2, endedMs: 3 });
    expect(checkIntegrity([op({}), stale], null).verdict.verdict).toBe("fail");
  });
});

describe("reads", () => {
  const write = op({ startedMs: 10, endedMs: 20 });
  const read = (fields: Partial<Operation>) => op({ kind: "read", ...fields });
  test.each<[string, Operation[], Verdict["verdict"]]>([
    ["nothing, before the acknowledgement", [write, read({ value: null, startedMs: 15, endedMs: 30 })], "pass"],
    ["nothing, at the very end of it", [write, read({ value: null, startedMs: 20, endedMs: 30 })], "pass"],
    ["nothing, after it", [write, read({ value: null, startedMs: 21, endedMs: 30 })], "fail"],
    ["the value, while it is written", [write, read({ startedMs: 11, endedMs: 12 })], "pass"],
    ["the value, before the write began", [write, read({ startedMs: 1, endedMs: 9 })], "fail"],
    ["the value of a failed write", [op({ outcome: "failed" }), read({ startedMs: 5, endedMs: 6 })], "fail"],
    ["a value that nobody wrote", [write, read({ value: "x", startedMs: 21, endedMs: 22 })], "fail"],
    [
      "nothing, after another read has seen an unknown write",
      [op({ outcome: "unknown" }), read({ startedMs: 2, endedMs: 3 }), read({ value: null, startedMs: 4, endedMs: 5 })],
      "fail",
    ],
    [
      "a read without an answer",
      [write, read({ value: null, outcome: "failed", startedMs: 30, endedMs: 31 })],
      "unknown",
    ],
  ])("%s", (_, history, verdict) => {
    expect(checkReads(history).verdict).toBe(verdict);
  });
});

describe("merge", () => {
  const verdict = fc.oneof(
    fc.record({ verdict: fc.constant("pass" as const), checked: fc.nat() }),
    fc.record({ verdict: fc.constant("unknown" as const), why: fc.string() }),
    fc.record({ verdict: fc.constant("fail" as const), predicate: fc.string(), witness: fc.anything() }),
  );
  const rank = { pass: 0, unknown: 1, fail: 2 };

  test("the worst part decides, in any order", () => {
    fc.assert(
      fc.property(fc.array(verdict, { minLength: 1 }), (parts) => {
        const worst = Math.max(...parts.map((part) => rank[part.verdict]));
        expect(rank[mergeVerdicts(parts).verdict]).toBe(worst);
        expect(rank[mergeVerdicts(parts.toReversed()).verdict]).toBe(worst);
      }),
    );
  });
  test("nothing checked is unknown; so is a checker that throws", () => {
    expect(mergeVerdicts([]).verdict).toBe("unknown");
    const broken = () => {
      throw new Error("defect");
    };
    expect(runChecker(broken, [], null)).toEqual({ verdict: "unknown", why: "the checker crashed: defect" });
  });
});

describe("client view", () => {
  /** One operation every 100 ms, 20 ms long; those that begin in [from, to) end `unknown` after a second. */
  const outage = (from: number, to: number): Operation[] =>
    Array.from({ length: 60 }, (_, n): Operation => {
      const startedMs = -1_000 + n * 100;
      const down = startedMs >= from && startedMs < to;
      return op({
        key: `k${n}`,
        startedMs,
        endedMs: startedMs + (down ? 1_000 : 20),
        outcome: down ? "unknown" : "ok",
      });
    });
  const options = { zeroMs: 0, okRatio: 0.99, windowMs: 1_000 };

  test("counts everything, and time below target by where operations began", () => {
    const view = clientView(outage(500, 2_500), options);
    expect(view).toMatchObject({
      operations: 60,
      ok: 40,
      unknown: 20,
      failed: 0,
      firstBreachMs: 1_500,
      belowTargetMs: 3_000,
    });
    expect(view.slices.map((slice) => slice.okRatio)).toEqual([0.5, 0, 0.5, 1, 1]);
    expect(view.slices.map((slice) => slice.p99Ms)).toEqual([1_000, 1_000, 1_000, 20, 20]);
  });
  test("what was under way at zero counts from zero; what ended before does not", () => {
    expect(clientView(outage(-50 - 50, 0), options).firstBreachMs).toBe(900);
    const early = op({ startedMs: -900, endedMs: -1, outcome: "failed" });
    expect(clientView([early, ...outage(0, 0)], options)).toMatchObject({
      firstBreachMs: null,
      belowTargetMs: 0,
      failed: 1,
    });
  });
  test("an empty history has no breach and no slices", () => {
    expect(clientView([], options)).toMatchObject({ operations: 0, firstBreachMs: null, belowTargetMs: 0, slices: [] });
  });
});
