import type { RegisterInput } from "./linearizable.ts";

export type Command =
  | ({ readonly key: number } & Exclude<RegisterInput, { readonly kind: "read" }>)
  | { readonly kind: "split"; readonly at: number; readonly group: number };

/** `applied` false = it did nothing and never will. `found`: what a cas found. */
export interface Outcome {
  readonly found: number;
  readonly applied: boolean;
}

interface Content {
  readonly from: number;
  readonly to: number;
  readonly values: readonly (readonly [key: number, value: number])[];
  readonly splitOff: readonly number[];
}

/** The state machine of one group: registers of the keys from `from` up to and without `to`. */
export class SimRegisters {
  from: number;
  to: number;
  readonly #values: Map<number, number>;
  readonly #splitOff: number[];

  constructor({ from, to, values, splitOff }: Content = { from: 0, to: 0, values: [], splitOff: [] }) {
    this.from = from;
    this.to = to;
    this.#values = new Map(values);
    this.#splitOff = [...splitOff];
  }

  static from(data: Buffer): SimRegisters {
    return new SimRegisters(JSON.parse(data.toString()) as Content);
  }

  toBytes(): Buffer {
    const values = [...this.#values].sort(([a], [b]) => a - b);
    return Buffer.from(JSON.stringify({ from: this.from, to: this.to, values, splitOff: this.#splitOff }));
  }

  holds(key: number): boolean {
    return key >= this.from && key < this.to;
  }

  get(key: number): number {
    return this.#values.get(key) ?? 0;
  }

  splitsOff(group: number): boolean {
    return this.#splitOff.includes(group);
  }

  apply(command: Exclude<Command, { readonly kind: "split" }>): Outcome {
    if (!this.holds(command.key)) return { found: 0, applied: false };
    const found = this.get(command.key);
    if (command.kind === "write" || found === command.expected) this.#values.set(command.key, command.value);
    return { found, applied: true };
  }

  /** @returns the upper part, or null when there is nothing to split. */
  split({ at, group }: Extract<Command, { kind: "split" }>): SimRegisters | null {
    if (at <= this.from || at >= this.to || this.splitsOff(group)) return null;
    const values = [...this.#values].filter(([key]) => key >= at);
    for (const [key] of values) this.#values.delete(key);
    const child = new SimRegisters({ from: at, to: this.to, values, splitOff: [] });
    this.to = at;
    this.#splitOff.push(group);
    return child;
  }
}
