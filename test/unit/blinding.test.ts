import { expect, test } from "vitest";
import { blindingOf } from "../../harness/trial/blinding.ts";

test("as long as an operator's container reaches the internet, no operator is said to be fully blind", () => {
  expect(blindingOf("container")).toMatchObject({ level: "partial", why: expect.stringContaining("internet") });
  expect(blindingOf("child-process")).toEqual({ level: "partial", why: "no container" });
  expect(blindingOf("in-process").level).toBe("none");
});
