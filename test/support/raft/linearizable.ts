/** One operation of a client. Instants need only be ordered; two must not be equal unless they are the same. */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** Null = nobody knows whether it took effect; it may also still do so later. */
  readonly output: Output | null;
  readonly call: number;
  /** Infinity when the output is null. */
  readonly return: number;
}

/** What one copy of the object would do. States must be equal exactly when they print alike. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** Null = from this state this output cannot come. An output of null is any. */
  step(state: State, input: Input, output: Output | null): State | null;
}

interface Configuration<State> {
  readonly state: State;
  /** Slots of pending operations that have taken effect already. */
  readonly done: number;
}

const MAX_SLOTS = 30;

/**
 * Whether operations on one object could have taken effect one at a time, each between its call and its return (Wing
 * & Gong 1993; with Lowe's just-in-time linearization, "Testing for linearizability", 2017: configurations are only
 * extended when an operation returns). @returns the first operation whose return nothing explains, or null.
 * @throws RangeError when too many operations were under way at once.
 */
export function firstUnexplained<State, Input, Output>(
  operations: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
): Operation<Input, Output> | null {
  const pending: (Operation<Input, Output> | undefined)[] = [];
  let configurations: Configuration<State>[] = [{ state: model.initial, done: 0 }];
  for (const { operation, isReturn } of events(operations)) {
    if (!isReturn) {
      const free = pending.findIndex((slot) => slot === undefined);
      const slot = free === -1 ? pending.length : free;
      if (slot >= MAX_SLOTS) throw new RangeError(`more than ${MAX_SLOTS} operations at once`);
      pending[slot] = operation;
      continue;
    }
    const slot = pending.indexOf(operation);
    configurations = linearize(configurations, pending, slot, model);
    if (configurations.length === 0) return operation;
    pending[slot] = undefined;
  }
  return null;
}

function events<Input, Output>(operations: readonly Operation<Input, Output>[]) {
  const all: { at: number; operation: Operation<Input, Output>; isReturn: boolean }[] = [];
  for (const operation of operations) {
    all.push({ at: operation.call, operation, isReturn: false });
    if (operation.output !== null) all.push({ at: operation.return, operation, isReturn: true });
  }
  return all.sort((a, b) => a.at - b.at);
}

/** Everything that can be when the operation of `slot` has taken effect; its slot is free afterwards. */
function linearize<State, Input, Output>(
  from: readonly Configuration<State>[],
  pending: readonly (Operation<Input, Output> | undefined)[],
  slot: number,
  model: Model<State, Input, Output>,
): Configuration<State>[] {
  const bit = 1 << slot;
  const seen = new Set<string>();
  const after = new Map<string, Configuration<State>>();
  const work = [...from];
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const { state, done } = next;
    if ((done & bit) !== 0) {
      after.set(`${done & ~bit} ${String(state)}`, { state, done: done & ~bit });
      continue;
    }
    for (const [other, operation] of pending.entries()) {
      if (operation === undefined || (done & (1 << other)) !== 0) continue;
      const reached = model.step(state, operation.input, operation.output);
      if (reached === null) continue;
      const key = `${done | (1 << other)} ${String(reached)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      work.push({ state: reached, done: done | (1 << other) });
    }
  }
  return [...after.values()];
}

/** A register that holds numbers; 0 = was never written. Values written are expected to be unique. */
export type RegisterInput =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly value: number }
  | { readonly kind: "cas"; readonly expected: number; readonly value: number };

/** What a read or a cas found; of a write, anything. */
export type RegisterOutput = number;

export const registerModel: Model<number, RegisterInput, RegisterOutput> = {
  initial: 0,
  step: (state, input, output) => {
    if (input.kind === "write") return input.value;
    if (output !== null && output !== state) return null;
    return input.kind === "cas" && state === input.expected ? input.value : state;
  },
};

/**
 * Without operations that nobody would miss: reads without an answer, and writes without an answer whose value nobody
 * found (taking them out of an explanation leaves an explanation). They would keep slots for ever.
 */
export function withoutUnseen(
  operations: readonly Operation<RegisterInput, RegisterOutput>[],
): Operation<RegisterInput, RegisterOutput>[] {
  const found = new Set<number>();
  for (const { input, output } of operations) {
    if (output !== null && input.kind !== "write") found.add(output);
    if (input.kind === "cas") found.add(input.expected);
  }
  return operations.filter(({ input, output }) => output !== null || (input.kind !== "read" && found.has(input.value)));
}
