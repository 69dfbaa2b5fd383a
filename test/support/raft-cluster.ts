import type { Random } from "../../harness/base/random.ts";
import { GroupImages } from "../../subjects/common/raft/group-images.ts";
import {
  decodeConfChange,
  decodeMessage,
  emptyMember,
  encodeMessage,
  newGroup,
  RaftNode,
  type ConfChange,
  type Entry,
  type GroupUpdate,
  type RaftMessage,
  type RaftSnapshot,
  type Ready,
} from "../../subjects/common/raft/index.ts";

interface Machine {
  readonly id: number;
  /** What was written and synced; survives a crash. */
  disk: GroupUpdate[];
  node: RaftNode | null;
  /** Handed out, not synced yet. */
  writing: Ready[];
  /** Values that its state machine has taken, in order. */
  values: string[];
  reads: Map<number, { readonly expects: number; index: number | null }>;
}

/**
 * A Raft group in one thread: every step of time, delivery, disk and crash is an explicit call, so that a schedule is
 * a function of its random numbers. Each call checks the safety properties of Raft and throws when one is broken.
 */
export class RaftCluster {
  readonly machines = new Map<number, Machine>();
  readonly network: Buffer[] = [];
  readonly cut = new Set<number>();
  /** Acknowledged to a client, in order of acknowledgement. */
  readonly acknowledged: string[] = [];
  readsAnswered = 0;
  readonly #random: Random;
  readonly #leaders = new Map<number, number>();
  readonly #history = new Map<number, string>();
  readonly #proposed = new Map<string, { readonly index: number; readonly term: number; readonly by: number }>();
  #counter = 0;

  constructor(ids: readonly number[], random: Random, voters = ids) {
    this.#random = random;
    for (const id of ids) {
      const disk = voters.includes(id) ? [{ group: 1, ...newGroup({ voters, learners: [] }, bytesOf([])) }] : [];
      this.machines.set(id, { id, disk, node: null, writing: [], values: [], reads: new Map() });
      this.start(id);
    }
  }

  machine(id: number): Machine {
    const machine = this.machines.get(id);
    if (machine === undefined) throw new RangeError(`no machine ${id}`);
    return machine;
  }

  get leader(): Machine | null {
    const leaders = [...this.machines.values()].filter((m) => m.node?.isLeader === true);
    return leaders.sort((a, b) => (b.node?.hardState.term ?? 0) - (a.node?.hardState.term ?? 0))[0] ?? null;
  }

  start(id: number): void {
    const machine = this.machine(id);
    const images = new GroupImages();
    images.apply(machine.disk);
    const image = images.all().get(1);
    const snapshot = image?.snapshot ?? { ...emptyMember().snapshot, data: bytesOf([]) };
    machine.values = valuesOf(snapshot.data);
    machine.node = new RaftNode({
      id,
      restored: {
        hardState: image?.hardState ?? { term: 0, vote: 0, commit: 0 },
        snapshot,
        entries: image?.entries ?? [],
      },
      random: this.#random.fork(`${id}/${++this.#counter}`),
      electionTicks: 10,
      heartbeatTicks: 2,
      takeSnapshot: () => bytesOf(machine.values),
    });
    this.#drain(machine);
  }

  /** Dies. Of what was being written, a random part had reached the disk. */
  crash(id: number): void {
    const machine = this.machine(id);
    const kept = this.#random.int(machine.writing.length + 1);
    for (const ready of machine.writing.slice(0, kept)) machine.disk.push(updateOf(ready));
    machine.writing = [];
    machine.reads.clear();
    machine.node = null;
  }

  tick(id: number): void {
    this.#with(id, (node) => node.tick());
  }

  /** One fsync: everything handed out so far is durable. */
  sync(id: number): void {
    const machine = this.machine(id);
    const { node } = machine;
    if (node === null) return;
    for (const ready of machine.writing.splice(0)) {
      machine.disk.push(updateOf(ready));
      if (ready.snapshot !== null) {
        machine.values = valuesOf(ready.snapshot.data);
        node.applied(ready.snapshot.index);
      }
      node.persisted(ready);
      this.#post(ready.messages);
    }
    this.#drain(machine);
  }

  deliver(position: number, options: { readonly keep?: boolean } = {}): void {
    const bytes = this.network[position];
    if (bytes === undefined) return;
    if (options.keep !== true) this.network.splice(position, 1);
    const message = decodeMessage(bytes);
    if (this.cut.has(message.from) || this.cut.has(message.to)) return;
    this.#with(message.to, (node) => node.step(message));
  }

  propose(id: number): string {
    const value = `v${++this.#counter}`;
    this.#with(id, (node) => {
      const at = node.propose(Buffer.from(value));
      if (at !== null) this.#proposed.set(value, { ...at, by: id });
    });
    return value;
  }

  change(id: number, change: ConfChange): boolean {
    let accepted = false;
    this.#with(id, (node) => (accepted = node.proposeConfChange(change) !== null));
    return accepted;
  }

  read(id: number): void {
    const context = ++this.#counter;
    const machine = this.machine(id);
    const expects = this.acknowledged.length;
    this.#with(id, (node) => {
      if (node.readIndex(context)) machine.reads.set(context, { expects, index: null });
    });
  }

  transfer(id: number, to: number): void {
    this.#with(id, (node) => node.transferLeader(to));
  }

  compact(id: number, keep: number): void {
    this.#with(id, (node) => node.compact(node.appliedIndex - keep));
  }

  /** Perfect weather until nothing is in flight, `rounds` times a tick for everybody. */
  settle(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      for (const id of this.machines.keys()) this.tick(id);
      for (let turn = 0; turn < 50; turn++) {
        for (const id of this.machines.keys()) this.sync(id);
        if (this.network.length === 0) break;
        for (let left = this.network.length; left > 0; left--) this.deliver(0);
      }
    }
  }

  /** @throws when an acknowledged value is missing or members that run disagree. */
  checkConverged(): void {
    const { leader } = this;
    if (leader?.node === null || leader === null) throw new Error("no leader after healing");
    for (const value of this.acknowledged)
      if (!leader.values.includes(value)) throw new Error(`acknowledged ${value} is lost`);
    for (const id of leader.node.conf.voters)
      if (this.machine(id).values.join() !== leader.values.join()) throw new Error(`machine ${id} differs`);
  }

  #with(id: number, act: (node: RaftNode) => void): void {
    const machine = this.machine(id);
    if (machine.node === null) return;
    act(machine.node);
    this.#drain(machine);
  }

  #drain(machine: Machine): void {
    const { node } = machine;
    while (node?.hasReady() === true) {
      const ready = node.ready();
      if (ready.roleState?.role === "leader") this.#checkLeader(machine.id, ready.roleState.term);
      this.#post(ready.beforePersist);
      for (const entry of ready.committed) this.#apply(machine, node, entry);
      const last = ready.committed.at(-1);
      if (last !== undefined) node.applied(last.index);
      if (!node.isLeader) machine.reads.clear();
      for (const { context, index } of ready.readStates) {
        const read = machine.reads.get(context);
        if (read !== undefined) read.index = index;
      }
      this.#answerReads(machine, node);
      machine.writing.push(ready);
    }
  }

  #apply(machine: Machine, node: RaftNode, entry: Entry): void {
    const text = `${entry.term}/${entry.kind}/${entry.data.toString("hex")}`;
    const known = this.#history.get(entry.index);
    if (known !== undefined && known !== text) throw new Error(`two different entries committed at ${entry.index}`);
    this.#history.set(entry.index, text);
    if (entry.kind === "conf") node.applyConfChange(decodeConfChange(entry.data));
    else if (entry.data.length > 0) {
      const value = entry.data.toString();
      machine.values.push(value);
      const proposal = this.#proposed.get(value);
      if (proposal?.by === machine.id && proposal.index === entry.index && proposal.term === entry.term) {
        this.#proposed.delete(value);
        this.acknowledged.push(value);
      }
    }
  }

  #answerReads(machine: Machine, node: RaftNode): void {
    for (const [context, { expects, index }] of machine.reads) {
      if (index === null || node.appliedIndex < index) continue;
      machine.reads.delete(context);
      this.readsAnswered++;
      for (const value of this.acknowledged.slice(0, expects))
        if (!machine.values.includes(value)) throw new Error(`a read on ${machine.id} missed ${value}`);
    }
  }

  #checkLeader(id: number, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== id) throw new Error(`${other} and ${id} both lead in term ${term}`);
    this.#leaders.set(term, id);
  }

  #post(messages: readonly RaftMessage[]): void {
    for (const message of messages) this.network.push(encodeMessage(message));
  }
}

function updateOf({ hardState, entries, snapshot }: Ready): GroupUpdate {
  return { group: 1, hardState, entries, snapshot };
}

function bytesOf(values: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(values));
}

function valuesOf(data: RaftSnapshot["data"]): string[] {
  return JSON.parse(data.toString()) as string[];
}
