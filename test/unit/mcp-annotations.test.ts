import { describe, expect, test } from "vitest";
import { annotationsOf, effectsOf } from "../../harness/mcp/annotations.ts";
import type { Effect } from "../../harness/protocol.ts";
import { scriptedTools } from "../support/scripted-tools.ts";

const tools = scriptedTools();

/** Calls that go as far as their tool can, by what they come to; every other tool's calls are all of one kind. */
const FAR: Readonly<Record<string, object>> = {
  container_exec: { argv: ["rm", "-rf", "/"] },
  pd_request: { method: "DELETE", path: "/pd/api/v1/members/name/pd0" },
  tikv_status: { method: "POST", path: "/config", body: {} },
};
const NEAR: Readonly<Record<string, object>> = {
  container_exec: { argv: ["df", "-h"] },
  pd_request: { method: "GET", path: "/stores" },
  tikv_status: { method: "GET", path: "/status" },
};
const WORDS: readonly Effect[] = ["read", "write", "destructive"];
const rank = (effect: Effect): number => WORDS.indexOf(effect);

describe("the effects that clients are told of", () => {
  test.each(tools.map((tool) => [tool.name, tool] as const))("%s: no call goes further, or less far", (name, tool) => {
    const { least, worst } = effectsOf(name);
    for (const given of [FAR[name] ?? {}, NEAR[name] ?? {}]) {
      const effect = tool.effect(given as never);
      expect([rank(effect) >= rank(least), rank(effect) <= rank(worst)]).toEqual([true, true]);
    }
    if (least !== worst) {
      expect(tool.effect(NEAR[name] as never)).toBe(least);
      expect(tool.effect(FAR[name] as never)).not.toBe("read");
    } else expect(tool.effect({} as never)).toBe(worst);
    expect(annotationsOf(name).readOnlyHint).toBe(worst === "read" && name !== "submit_diagnosis");
  });

  test("what is not listed may do anything", () => {
    for (const name of ["some_new_tool", "toString"])
      expect(annotationsOf(name)).toMatchObject({ readOnlyHint: false, destructiveHint: true, idempotentHint: false });
  });
});
