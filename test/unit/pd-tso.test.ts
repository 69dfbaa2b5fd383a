import { describe, expect, test } from "vitest";
import { Tso } from "../../subjects/tikv/stand-in/pd/tso.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Saves at once, and remembers what. */
async function begun(savedUpToMs = 0) {
  const clock = new ManualClock();
  const saved: number[] = [];
  const tso = new Tso(clock, (upTo) => {
    saved.push(upTo);
    return Promise.resolve();
  });
  await tso.begin(savedUpToMs);
  return { clock, saved, tso };
}

describe("the bound of timestamps", () => {
  test("moves on with the clock while nobody asks, about every five seconds", async () => {
    const { clock, saved, tso } = await begun();
    for (let ms = 0; ms < 60_000; ms += 250) {
      await clock.advance(250);
      await tso.moveOn();
    }
    expect(saved.length).toBeGreaterThanOrEqual(12);
    expect(saved.length).toBeLessThanOrEqual(15);
  });

  test("is above whatever was given out, and a new leader begins above the last one's", async () => {
    const { clock, saved, tso } = await begun();
    for (let number = 0; number < 200; number++) {
      await clock.advance(37);
      expect((await tso.next(1)).physical).toBeLessThanOrEqual(saved.at(-1) ?? 0);
    }
    const bound = saved.at(-1) ?? 0;
    const heir = await begun(bound);
    expect((await heir.tso.next(1)).physical).toBeGreaterThan(bound);
  });
});
