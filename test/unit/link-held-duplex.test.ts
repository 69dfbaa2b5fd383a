import { duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { heldDuplex } from "../../subjects/common/link/held-duplex.ts";
import type { LinkRules } from "../../subjects/common/link/link-rules.ts";

class SwitchedRules implements LinkRules {
  readonly self = "a";
  readonly cut = new Set<string | null>();
  readonly #listeners = new Set<() => void>();
  holds = (peer: string | null) => this.cut.has(peer);
  onChange = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  nameOf = () => null;
  change(change: (cut: Set<string | null>) => void) {
    change(this.cut);
    for (const listener of this.#listeners) listener();
  }
  [Symbol.dispose]() {}
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const turns = async () => {
  for (let i = 0; i < 5; i++) await turn();
};

test("nothing passes while a rule stands, and everything in order when it goes", async () => {
  const rules = new SwitchedRules();
  const [near, far] = duplexPair();
  const held = heldDuplex(near, { rules, peer: () => "b" });
  const atFar: Buffer[] = [];
  far.on("data", (chunk: Buffer) => atFar.push(chunk));
  const atNear: Buffer[] = [];
  held.on("data", (chunk: Buffer) => atNear.push(chunk));

  held.write("one ");
  far.write("1 ");
  await turns();
  rules.change((cut) => cut.add("b"));
  held.write("two ");
  held.write("three");
  far.write("2 ");
  far.write("3");
  await turns();
  expect(Buffer.concat(atFar).toString()).toBe("one ");
  expect(Buffer.concat(atNear).toString()).toBe("1 ");

  rules.change((cut) => cut.delete("b"));
  await turns();
  expect(Buffer.concat(atFar).toString()).toBe("one two three");
  expect(Buffer.concat(atNear).toString()).toBe("1 2 3");
});

test("bytes that were read before the rule came are not lost", async () => {
  const rules = new SwitchedRules();
  const [near, far] = duplexPair();
  const held = heldDuplex(near, { rules, peer: () => "b" });
  const whole = Buffer.alloc(300_000, "x");
  far.end(whole);
  await turns();
  rules.change((cut) => cut.add("b"));
  const received = buffer(held);
  await turns();
  rules.change((cut) => cut.delete("b"));
  expect((await received).equals(whole)).toBe(true);
});

test("a user who gives up is noticed by the peer only when the rule goes", async () => {
  const rules = new SwitchedRules();
  const [near, far] = duplexPair();
  const held = heldDuplex(near, { rules, peer: () => "b" });
  let gone = false;
  near.on("close", () => (gone = true));
  rules.change((cut) => cut.add("b"));
  held.destroy();
  await turns();
  expect(gone).toBe(false);
  rules.change((cut) => cut.delete("b"));
  await turns();
  expect(gone).toBe(true);
  far.destroy();
});

test("a rule counts as soon as the peer has said its name", async () => {
  const rules = new SwitchedRules();
  rules.cut.add("b");
  let name: string | null = null;
  const [near, far] = duplexPair();
  const held = heldDuplex(near, { rules, peer: () => name });
  held.write("before");
  await turns();
  expect(String(far.read())).toBe("before");
  name = "b";
  held.reconsider();
  held.write("after");
  await turns();
  expect(far.read()).toBe(null);
});
