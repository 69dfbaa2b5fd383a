import { describe, expect, test } from "vitest";
import { type Tracks, advance, nextDueInMs } from "../../harness/monitor/track.ts";
import type { Component, Judgement } from "../../harness/protocol.ts";

const at = "tikv1" as Component;
const judgement = (letter: string): Judgement => {
  if (letter === "h") return { state: "held", component: at };
  if (letter === "u") return { state: "unknown", component: at, why: "no data" };
  return { state: "violated", component: at, severity: "critical", message: "tikv1 does not answer", evidence: {} };
};

/** One letter a second: held, violated, unknown, `.` = not judged. */
function play(letters: string, graceMs: number): Tracks {
  let tracks: Tracks = new Map();
  [...letters].forEach((letter, second) => {
    const invariant = { name: "store_up", graceMs };
    const judged = letter === "." ? [] : [{ invariant, judgement: judgement(letter) }];
    tracks = advance(tracks, judged, second * 1000);
  });
  return tracks;
}

describe("when a ticket is due", () => {
  test.each([
    ["v", 0, true, "no grace: the first sighting"],
    ["v", 1000, false, "one sighting is never enough with a grace"],
    ["vv", 1000, true, "seen twice and the grace is over"],
    ["vv", 2000, false, "the grace is not over"],
    ["vhv", 1000, false, "it held in between: starts anew"],
    ["vhvv", 1000, true, "starts anew and lasts"],
    ["vuv", 2000, true, "unknown in between does not excuse it"],
    ["vu", 1000, false, "unknown never opens"],
    ["vuuuv", 2000, false, "unknown for longer than the grace: starts anew"],
    ["uuuu", 0, false, "unknown alone is nothing"],
    ["vvu", 1000, true, "unknown does not take it back"],
    ["vv.", 1000, true, "not judged any more is not healed"],
    ["vvh", 1000, false, "held takes it back"],
  ])("%s with a grace of %i ms: %s (%s)", (letters, graceMs, due) => {
    expect(play(letters, graceMs).get("store_up:tikv1")?.due ?? false).toBe(due);
  });
});

describe("since when it holds", () => {
  test.each([
    ["h", 0],
    ["hhh", 0],
    ["vvhh", 2000],
    ["hhuh", 3000],
    ["hhu", null],
    ["hhv", null],
    ["vv.", null],
  ])("%s: %s", (letters, since) => {
    expect(play(letters, 1000).get("store_up:tikv1")?.heldSinceMs).toBe(since);
  });
});

test("what is not judged any more is forgotten unless a ticket is due for it", () => {
  expect(play("h.", 1000).size).toBe(0);
  expect(play("v.", 1000).size).toBe(0);
  expect(play("vv.", 1000).get("store_up:tikv1")?.state).toBe("unknown");
});

test("the next look is wanted when the first grace that is running ends", () => {
  expect(nextDueInMs(play("v", 5000), () => 5000, 1_500)).toBe(3_500);
  expect(nextDueInMs(play("v", 5000), () => 5000, 9_000)).toBe(0);
  expect(nextDueInMs(play("vv", 1000), () => 1000, 1_500)).toBeNull();
  expect(nextDueInMs(play("h", 1000), () => 1000, 1_500)).toBeNull();
});
