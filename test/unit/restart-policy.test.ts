import { describe, expect, test } from "vitest";
import {
  FRESH,
  nextRestart,
  parseRestartPolicy,
  type Exit,
  type RestartPolicy,
} from "../../harness/engine/process/restart-policy.ts";

const crash: Exit = { exitCode: 137, ranMs: 50, stoppedByHand: false };
const policy = (text: string): RestartPolicy => parseRestartPolicy(text);

describe("nextRestart", () => {
  test("waits 100 ms, then twice as long each time, a minute at most", () => {
    const delays: number[] = [];
    let memory = FRESH;
    for (let exit = 0; exit < 12; exit++) {
      memory = nextRestart(policy("always"), crash, memory) ?? FRESH;
      delays.push(memory.delayMs);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
    expect(memory.count).toBe(12);
  });

  test("begins anew after 10 s up, but goes on counting", () => {
    const memory = { delayMs: 6400, count: 7 };
    expect(nextRestart(policy("always"), { ...crash, ranMs: 9_999 }, memory)).toEqual({ delayMs: 12800, count: 8 });
    expect(nextRestart(policy("always"), { ...crash, ranMs: 10_000 }, memory)).toEqual({ delayMs: 100, count: 8 });
  });

  test.each(["no", "always", "unless-stopped", "on-failure", "on-failure:3"])(
    "%s: whatever was stopped by hand stays down",
    (text) => expect(nextRestart(policy(text), { ...crash, stoppedByHand: true }, FRESH)).toBeNull(),
  );

  test("on-failure: only after a failure, only so many times", () => {
    expect(nextRestart(policy("on-failure"), { ...crash, exitCode: 0 }, FRESH)).toBeNull();
    expect(nextRestart(policy("on-failure:2"), crash, { delayMs: 100, count: 1 })).toMatchObject({ count: 2 });
    expect(nextRestart(policy("on-failure:2"), crash, { delayMs: 200, count: 2 })).toBeNull();
    expect(nextRestart(policy("on-failure"), crash, { delayMs: 200, count: 99 })).not.toBeNull();
  });

  test("always and unless-stopped also after a clean exit; no never", () => {
    const clean = { ...crash, exitCode: 0 };
    expect(nextRestart(policy("always"), clean, FRESH)).not.toBeNull();
    expect(nextRestart(policy("unless-stopped"), clean, FRESH)).not.toBeNull();
    expect(nextRestart(policy("no"), crash, FRESH)).toBeNull();
  });
});

test("a policy that Docker does not know is refused", () => {
  for (const text of ["", "sometimes", "on-failure:", "on-failure:-1", "always:3"])
    expect(() => parseRestartPolicy(text), text).toThrow(expect.objectContaining({ code: "not-supported" }));
  expect(parseRestartPolicy("on-failure:5")).toEqual({ name: "on-failure", max: 5 });
});
