import { expect, test } from "vitest";
import { forgetUpTo } from "../../../subjects/tikv/stand-in/tikv/log-keeping.ts";

test("a leader forgets soon what every member has", () => {
  expect(forgetUpTo(1, 100, [100, 100, 100])).toBeNull();
  expect(forgetUpTo(1, 1_000, [1_000, 1_000, 1_000])).toBe(936);
});

test("a leader keeps what a member lacks, up to a limit", () => {
  expect(forgetUpTo(1, 2_000, [2_000, 2_000, 100])).toBeNull();
  expect(forgetUpTo(1, 2_000, [2_000, 2_000, 1_000])).toBe(936);
  expect(forgetUpTo(1, 5_000, [5_000, 5_000, 100])).toBe(4_000);
});

test("a follower keeps some, in case that it has to lead", () => {
  expect(forgetUpTo(1, 180, [])).toBeNull();
  expect(forgetUpTo(1, 2_000, [])).toBe(1_872);
});
