// Run by test/integration/tally.test.ts alone, with one retry: something of everything that a tally has to count.
import { beforeAll, describe, expect, test } from "vitest";

let tries = 0;

test("passes", () => {});

test("passes at the second try", () => {
  expect(++tries).toBe(2);
});

test("fails", () => {
  expect(1).toBe(2);
});

test("has no engine", ({ skip }) => skip("needs an engine"));

describe("a suite whose hook fails", () => {
  beforeAll(() => {
    throw new Error("no cluster");
  });
  test("is not run", () => {});
});
