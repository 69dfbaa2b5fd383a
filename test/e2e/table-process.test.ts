import { expect, test } from "vitest";
import { scenarios } from "../../scenarios/index.ts";
import { expected } from "./expected.ts";
import { column, tableTests } from "./table.suite.ts";

test("every scenario has its expectations", () => {
  expect(Object.keys(expected).toSorted()).toEqual(scenarios.map(({ id }) => id).toSorted());
});

tableTests("process", [
  ...column,
  ["tikv/store-kill", "oracle"],
  ["tikv/store-kill", "restart-everything"],
  ["tikv/store-hang", "noop"],
  ["control/false-alarm", "restart-everything"],
  ["control/false-alarm", "noop"],
]);
