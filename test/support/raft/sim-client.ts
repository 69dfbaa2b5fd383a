import type { Random } from "../../../harness/base/random.ts";
import { KEYS, type SimCluster } from "./sim-cluster.ts";
import type { RegisterInput } from "./linearizable.ts";
import type { SimProcess } from "./sim-process.ts";

const TIMEOUT_MS = 200;

/** One operation after another on random keys, at whoever seems to lead; all of it goes into the history. */
export class SimClient {
  readonly #cluster: SimCluster;
  readonly #random: Random;
  readonly #id: number;
  readonly #seen = new Map<number, number>();
  #values = 0;
  active = true;

  constructor(cluster: SimCluster, id: number) {
    this.#cluster = cluster;
    this.#id = id;
    this.#random = cluster.world.random.fork(`client/${id}`);
    this.#next(30 + this.#random.int(50));
  }

  #next(ms: number): void {
    this.#cluster.world.after(ms, () => {
      if (this.active) this.#one();
    });
  }

  #one(): void {
    const key = this.#random.int(KEYS);
    this.perform(key, this.#input(key), () => this.#next(this.#pause()));
  }

  #pause(): number {
    return this.#random.int(10) < 8 ? this.#random.int(20) : this.#random.int(100);
  }

  #input(key: number): RegisterInput {
    const roll = this.#random.int(10);
    if (roll < 4) return { kind: "read" };
    // Unique in the schedule, so that a history says which write a read saw.
    const value = ++this.#values * 100 + this.#id;
    if (roll < 8) return { kind: "write", value };
    return { kind: "cas", expected: this.#seen.get(key) ?? 0, value };
  }

  /** @param done with whether it was answered. */
  perform(key: number, input: RegisterInput, done: (answered: boolean) => void): void {
    const { world, judge, stats } = this.#cluster;
    const record = judge.begin(key, input, world.stamp());
    let over = false;
    const end = (output: number | null | undefined): void => {
      if (over) return;
      over = true;
      world.note(() => `client ${this.#id}: key ${key} ${JSON.stringify(input)} -> ${String(output)}`);
      // Undefined = it did nothing and never will.
      if (output !== undefined && output !== null) {
        stats.operations++;
        this.#seen.set(key, input.kind === "write" ? input.value : output);
      } else if (output === null) stats.unknownOperations++;
      if (output !== null) record(output, world.stamp());
      done(output !== undefined && output !== null);
    };
    world.after(TIMEOUT_MS, () => end(null));
    const process = this.#target(key);
    if (!process.running) return world.after(2, () => end(undefined));
    process.later(this.#random.next() * 3, () => this.#request(process, key, input, end));
  }

  #target(key: number): SimProcess {
    const { processes } = this.#cluster;
    const leading = processes.filter((process) => this.#cluster.holder(process, key)?.node.isLeader === true);
    return leading.length > 0 && this.#random.int(10) < 9 ? this.#random.pick(leading) : this.#random.pick(processes);
  }

  #request(
    process: SimProcess,
    key: number,
    input: RegisterInput,
    end: (output: number | null | undefined) => void,
  ): void {
    const answer = (output: number | null | undefined): void =>
      this.#cluster.world.after(this.#random.next() * 3, () => end(output));
    const group = this.#cluster.holder(process, key);
    if (group === undefined) return answer(undefined);
    if (input.kind === "read") {
      const serve = (): void => answer(group.registers.holds(key) ? group.registers.get(key) : undefined);
      if (!group.read(serve, () => answer(undefined))) answer(undefined);
      return;
    }
    const accepted = group.propose({ key, ...input }, (outcome) => {
      if (outcome === null) answer(null);
      else answer(outcome.applied ? outcome.found : undefined);
    });
    if (!accepted) answer(undefined);
  }
}
