import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { durationSpread } from "../../harness/stats/durations.ts";
import { exactInterval, wilsonInterval } from "../../harness/stats/proportion.ts";
import { quantile } from "../../harness/stats/quantile.ts";

describe("quantile", () => {
  test("by nearest rank", () => {
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2);
    expect(quantile([10, 9], 1)).toBe(10);
    expect(quantile([10, 9], 0)).toBe(9);
    expect(quantile([100, 20, 3], 0.99)).toBe(100);
  });
  test("is a value that was measured, with the right share at or below it", () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(finite, { minLength: 1 }), fc.double({ min: 0.001, max: 1, noNaN: true }), (values, q) => {
        const found = quantile(values, q);
        expect(values.some((value) => value === found)).toBe(true);
        expect(values.filter((value) => value <= found).length).toBeGreaterThanOrEqual(values.length * q);
      }),
    );
  });
  test("refuses what has no answer", () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
    expect(() => quantile([1], 1.5)).toThrow(RangeError);
  });
});

describe("intervals for rates", () => {
  // The figures that binom.test of R prints; 0 of 5 and 5 of 5 also have closed forms (1 - 0.025 ** (1/5)).
  test.each([
    [0, 5, 0, 0.5218238],
    [5, 5, 0.4781762, 1],
    [7, 10, 0.3475471, 0.9332605],
    [1, 20, 0.001265089, 0.248733],
    [50, 100, 0.3983211, 0.6016789],
  ])("exact: %i of %i", (successes, trials, low, high) => {
    const interval = exactInterval(successes, trials);
    expect(interval.low).toBeCloseTo(low, 6);
    expect(interval.high).toBeCloseTo(high, 6);
  });
  // By Wilson's formula, worked by hand: z = 1.96, centre (x + z²/2)/(n + z²).
  test("Wilson: 7 of 10, 0 of 5", () => {
    expect(wilsonInterval(7, 10).low).toBeCloseTo(0.396778, 5);
    expect(wilsonInterval(7, 10).high).toBeCloseTo(0.892209, 5);
    expect(wilsonInterval(0, 5)).toEqual({ low: 0, high: expect.closeTo(0.434482, 5) });
  });
  test("both hold the observed rate; the exact one is mirror-symmetric and survives thousands of trials", () => {
    const rate = fc
      .integer({ min: 1, max: 3_000 })
      .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    fc.assert(
      fc.property(rate, ([x, n]) => {
        for (const { low, high } of [exactInterval(x, n), wilsonInterval(x, n)]) {
          expect(low).toBeLessThanOrEqual(x / n + 1e-9);
          expect(high).toBeGreaterThanOrEqual(x / n - 1e-9);
        }
        expect(exactInterval(x, n).low).toBeCloseTo(1 - exactInterval(n - x, n).high, 6);
      }),
      { numRuns: 30 },
    );
  });
  test("refuses what is no rate", () => {
    expect(() => exactInterval(3, 2)).toThrow(RangeError);
    expect(() => exactInterval(0, 0)).toThrow(RangeError);
    expect(() => exactInterval(1, 2, 1)).toThrow(RangeError);
  });
});

describe("spread of durations", () => {
  const ended = (ms: number) => ({ ms, censored: false });
  const cut = (ms: number) => ({ ms, censored: true });
  test("of complete ones", () => {
    expect(durationSpread([3, 1, 2].map(ended))).toEqual({
      count: 3,
      censored: 0,
      medianMs: 2,
      minMs: 1,
      maxMs: 3,
      watchedMs: 3,
    });
    expect(durationSpread([1, 2, 3, 10].map(ended)).medianMs).toBe(2.5);
  });
  test("a cut-off one is longer than all: the median may survive, the maximum does not", () => {
    expect(durationSpread([ended(1), ended(2), cut(60)])).toMatchObject({
      medianMs: 2,
      minMs: 1,
      maxMs: null,
      censored: 1,
    });
    expect(durationSpread([ended(1), cut(60)])).toMatchObject({ medianMs: null });
    expect(durationSpread([cut(60), cut(61)])).toMatchObject({ medianMs: null, minMs: null, watchedMs: 61 });
  });
  test("none is refused", () => {
    expect(() => durationSpread([])).toThrow(RangeError);
  });
});
