import { expect, test } from "vitest";
import type { LinkRules } from "../../subjects/common/link/link-rules.ts";
import { Rejoin } from "../../subjects/tikv/stand-in/pd/rejoin.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Rules that a test sets. */
class SetRules implements LinkRules {
  readonly self = "pd0";
  #held: readonly (string | null)[] = [];
  #listener: () => void = () => {};

  hold(...peers: (string | null)[]): void {
    this.#held = peers;
    this.#listener();
  }
  holds(peer: string | null): boolean {
    return this.#held.includes(peer);
  }
  onChange(listener: () => void): () => void {
    this.#listener = listener;
    return () => {};
  }
  nameOf(): null {
    return null;
  }
  [Symbol.dispose](): void {}
}

const cutOffFor = async (ms: number, ...peers: (string | null)[]) => {
  const [clock, rules] = [new ManualClock(), new SetRules()];
  const rejoin = new Rejoin({ rules, clock, timeFactor: 1 }, () => ["pd1", "pd2"]);
  rules.hold(...peers);
  await clock.advance(ms);
  rules.hold();
  return { clock, rejoin };
};

test("a member that was off the network for a while is deaf for 24 s, then takes part again", async () => {
  const { clock, rejoin } = await cutOffFor(30_000, null, "pd1", "pd2");
  expect(rejoin.deaf).toBe(true);
  await clock.advance(23_900);
  expect(rejoin.deaf).toBe(true);
  await clock.advance(200);
  expect(rejoin.deaf).toBe(false);
});

test("not after a blink, nor when only its peers were unreachable", async () => {
  expect((await cutOffFor(3_000, null, "pd1", "pd2")).rejoin.deaf).toBe(false);
  expect((await cutOffFor(30_000, "pd1", "pd2")).rejoin.deaf).toBe(false);
  expect((await cutOffFor(30_000, null, "pd1")).rejoin.deaf).toBe(false);
});
