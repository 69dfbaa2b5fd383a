import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../harness/base/random.ts";
import {
  firstUnexplained,
  registerModel,
  withoutUnseen,
  type Operation,
  type RegisterInput,
} from "../../support/raft/linearizable.ts";

type RegisterOperation = Operation<RegisterInput, number>;

const operation = (input: RegisterInput, output: number | null, call: number, end = Infinity): RegisterOperation => ({
  input,
  output,
  call,
  return: end,
});
const write = (value: number, call: number, end?: number): RegisterOperation =>
  operation({ kind: "write", value }, end === undefined ? null : 0, call, end);
const read = (found: number, call: number, end: number): RegisterOperation =>
  operation({ kind: "read" }, found, call, end);
const cas = (expected: number, value: number, found: number, call: number, end: number): RegisterOperation =>
  operation({ kind: "cas", expected, value }, found, call, end);

const holds = (...history: RegisterOperation[]): boolean => firstUnexplained(history, registerModel) === null;

describe("histories of a register", () => {
  it("that have an order are explained", () => {
    expect(holds(write(1, 1, 2), read(1, 3, 4))).toBe(true);
    // A read beside a write may see either; two reads beside it may see old, then new.
    expect(holds(write(1, 1, 10), read(0, 2, 3), read(1, 4, 5))).toBe(true);
    // Two writes at once, seen in the order opposite to their calls.
    expect(holds(write(1, 1, 10), write(2, 2, 11), read(2, 12, 13))).toBe(true);
    expect(holds(write(1, 1, 10), write(2, 2, 11), read(1, 12, 13))).toBe(true);
    // An unknown write may happen late, or never.
    expect(holds(write(1, 1), read(0, 2, 3), read(1, 20, 21))).toBe(true);
    expect(holds(write(1, 1), read(0, 20, 21))).toBe(true);
    expect(holds(write(1, 1, 2), cas(1, 5, 1, 3, 4), cas(1, 6, 5, 5, 6), read(5, 7, 8))).toBe(true);
  });

  it("that have none are not, and the operation that nothing explains is named", () => {
    // Stale, lost, from nowhere, and going back.
    expect(holds(write(1, 1, 2), write(2, 3, 4), read(1, 5, 6))).toBe(false);
    expect(holds(write(1, 1, 2), read(0, 3, 4))).toBe(false);
    expect(holds(read(7, 1, 2))).toBe(false);
    expect(holds(write(1, 1, 10), read(1, 2, 3), read(0, 4, 5))).toBe(false);
    // Two reads after two writes that disagree about the last one.
    expect(holds(write(1, 1, 10), write(2, 2, 11), read(1, 12, 13), read(2, 14, 15))).toBe(false);
    // A write that took effect twice.
    expect(holds(write(1, 1, 2), write(2, 3, 4), read(2, 5, 6), read(1, 7, 8))).toBe(false);
    expect(holds(write(1, 1, 2), cas(1, 5, 1, 3, 4), cas(1, 6, 1, 5, 6))).toBe(false);
    expect(firstUnexplained([write(1, 1, 2), read(0, 3, 4), read(1, 5, 6)], registerModel)).toEqual(read(0, 3, 4));
  });

  it("lose nothing with the writes that nobody found", () => {
    const history = [write(1, 1), write(2, 2), operation({ kind: "read" }, null, 3), read(2, 4, 5)];
    expect(withoutUnseen(history)).toEqual([write(2, 2), read(2, 4, 5)]);
    expect(holds(...withoutUnseen(history))).toBe(true);
  });

  it("of a real register under random interleavings always hold; with one answer changed mostly not", () => {
    let refused = 0;
    for (let number = 0; number < 200; number++) {
      const random = seededRandom(`history/${number}`);
      const history = randomHistory(random);
      expect(holds(...history)).toBe(true);
      const reads = history.filter(({ input }) => input.kind === "read");
      const changed = random.pick(reads);
      const spoilt = history.map((one) => (one === changed ? { ...one, output: (one.output ?? 0) + 1_000 } : one));
      if (!holds(...spoilt)) refused++;
    }
    expect(refused).toBe(200);
  });
});

/** Calls, effects and returns of eight operations each of three clients, at random instants in order. */
function randomHistory(random: ReturnType<typeof seededRandom>): RegisterOperation[] {
  const history: RegisterOperation[] = [];
  const clients = [1, 2, 3].map((client) => ({
    client,
    left: 8,
    stage: 0,
    input: { kind: "read" } as RegisterInput,
    found: 0,
    call: 0,
  }));
  let state = 0;
  for (let now = 1; clients.some(({ left }) => left > 0); now++) {
    const one = random.pick(clients.filter(({ left }) => left > 0));
    if (one.stage === 0) {
      const value = one.client * 100 + one.left;
      one.input = random.int(2) === 0 ? { kind: "read" } : { kind: "write", value };
      one.call = now;
    } else if (one.stage === 1) {
      one.found = state;
      if (one.input.kind === "write") state = one.input.value;
    } else {
      history.push({ input: one.input, output: one.found, call: one.call, return: now });
      one.left--;
    }
    one.stage = (one.stage + 1) % 3;
  }
  return history.some(({ input }) => input.kind === "read") ? history : randomHistory(random);
}
