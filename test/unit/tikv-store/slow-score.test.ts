import { describe, expect, it } from "vitest";
import { SlowScore } from "../../../subjects/tikv/stand-in/tikv/slow-score.ts";

const OPTIONS = { timeoutMs: 100, intervalMs: 100, roundTicks: 30, recoveryMs: 300_000 };

/** Rounds of 30 inspections, of which `slow` take 150 ms and the rest 2 ms. */
function afterRounds(score: SlowScore, rounds: readonly number[], from = 0): number {
  let now = from;
  for (const slow of rounds)
    for (let number = 0; number < OPTIONS.roundTicks; number++) {
      now += OPTIONS.intervalMs;
      const tick = score.tick(now);
      score.record(tick, number < slow ? 150 : 2, false);
    }
  return now;
}

describe("the slow score", () => {
  it("reaches 100 in seven rounds, 21 s, when a tenth of the inspections is slow", () => {
    const score = new SlowScore(OPTIONS, 0);
    expect(score.value).toBe(1);
    const values = Array.from({ length: 8 }, (_, round) => {
      afterRounds(score, [3], round * 3_000);
      return Math.round(score.value);
    });
    expect(values).toEqual([2, 4, 8, 16, 32, 64, 100, 100]);
  });

  it("rises in proportion below a tenth, and not faster above", () => {
    const [few, many] = [new SlowScore(OPTIONS, 0), new SlowScore(OPTIONS, 0)];
    afterRounds(few, [1]);
    afterRounds(many, [30]);
    expect(few.value).toBeGreaterThan(1);
    expect(few.value).toBeLessThan(1.5);
    expect(many.value).toBeCloseTo(2, 1);
  });

  it("goes back by a third of a point a second while nothing is slow, in all 5 min from 100", () => {
    const score = new SlowScore(OPTIONS, 0);
    let now = afterRounds(score, [3, 3, 3, 3, 3, 3, 3, 3]);
    expect(score.value).toBe(100);
    now = afterRounds(score, [0, 0], now);
    const before = score.value;
    now = afterRounds(
      score,
      Array.from({ length: 20 }, () => 0),
      now,
    );
    expect(before - score.value).toBeCloseTo(20, 0);
    afterRounds(
      score,
      Array.from({ length: 80 }, () => 0),
      now,
    );
    expect(score.value).toBe(1);
  });

  it("counts an inspection that does not end", () => {
    const score = new SlowScore(OPTIONS, 0);
    for (let number = 1; number <= OPTIONS.roundTicks; number++) {
      score.recordTimeouts();
      score.tick(number * 100);
    }
    expect(score.value).toBe(2);
  });

  it("does not blame the disk for what the process itself was late with", () => {
    const score = new SlowScore(OPTIONS, 0);
    for (let number = 1; number <= 2 * OPTIONS.roundTicks; number++) {
      const tick = score.tick(number * 100);
      if (number % 2 === 0) score.record(tick, 400, true);
      else score.forgive();
    }
    expect(score.value).toBe(1);
  });
});
