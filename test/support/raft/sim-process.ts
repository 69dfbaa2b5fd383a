import { StoreError } from "../../../harness/base/errors.ts";
import {
  decodeConfChange,
  decodeMessage,
  emptyMember,
  encodeMessage,
  newGroup,
  RaftNode,
  RaftRunner,
  type ConfState,
  type Entry,
  type LeaseOptions,
  type RaftGroup,
  type RaftMessage,
  type RaftSnapshot,
  type RaftStorage,
  type ReadState,
  type Restored,
  type RoleState,
} from "../../../subjects/common/raft/index.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SimDisk } from "./sim-disk.ts";
import { BrokenPromise } from "./sim-judge.ts";
import { SimRegisters, type Command, type Outcome } from "./sim-registers.ts";

export const ELECTION_TICKS = 10;
export const TICK_MS = 30;
const HEARTBEAT_TICKS = 2;
/** Nine tenths of the election time-out, as in TiKV (raft-store-max-leader-lease 9 s, ten ticks of 1 s). */
const LEASE = { leaseMs: 0.9 * ELECTION_TICKS * TICK_MS, promiseMs: ELECTION_TICKS * TICK_MS };

/** One machine and the process on it, which dies, is stopped and starts anew: real runner, real core, simulated rest. */
export class SimProcess {
  readonly id: number;
  readonly cluster: SimCluster;
  readonly disk: SimDisk;
  readonly groups = new Map<number, SimGroup>();
  running = false;
  stopped = false;
  #runner: RaftRunner | null = null;
  #life = 0;
  /** What arrived while the process was stopped. */
  #backlog: (() => void)[] = [];
  readonly #clock: { readonly rate: number; readonly offset: number };
  readonly #random;

  constructor(cluster: SimCluster, id: number) {
    this.cluster = cluster;
    this.id = id;
    this.#random = cluster.world.random.fork(`process/${id}`);
    this.disk = new SimDisk(cluster.world, this.#random.fork("disk"), cluster.diskMs);
    // Clocks differ by at most one in fifty, so that nine tenths of a time never outlive the whole of it.
    this.#clock = { rate: 0.99 + this.#random.next() * 0.02, offset: this.#random.int(1_000_000) };
  }

  monotonic(): number {
    return this.#clock.offset + this.#clock.rate * this.cluster.world.now;
  }

  /** Runs `act` later in this life of the process; while it is stopped, when it goes on. */
  later(ms: number, act: () => void): void {
    const life = this.#life;
    const run = (): void => {
      if (this.#life !== life || !this.running) return;
      if (this.stopped) this.#backlog.push(run);
      else act();
    };
    this.cluster.world.after(ms, run);
  }

  start(): void {
    const { mischief, world, stats } = this.cluster;
    this.#life++;
    this.running = true;
    this.stopped = false;
    const { storage, found } = this.disk.open();
    const watched = this.#watched(mischief?.storage?.(storage, this) ?? storage);
    this.#runner = new RaftRunner({
      storage: watched,
      onFatal: (error) => {
        if (!(error instanceof StoreError)) this.cluster.broken ??= new BrokenPromise("no exception", String(error));
        stats.diskErrors++;
        this.die("disk");
        world.after(this.#random.int(300), () => this.running || this.start());
      },
      rewriteAfterBytes: this.cluster.rewriteAfterBytes,
      schedule: (turn) => this.later(0, turn),
    });
    for (const image of found.values()) {
      const { group, hardState, snapshot, entries } = mischief?.restored?.(image) ?? image;
      if (snapshot === null) this.#add(group, { ...emptyMember(), hardState }, new SimRegisters());
      else this.#add(group, { hardState, snapshot, entries }, SimRegisters.from(snapshot.data));
    }
    this.later(this.#random.next() * TICK_MS, () => this.#tick());
  }

  /** @param how the process is killed, the machine loses power, or it ends itself because its disk failed. */
  die(how: "kill" | "power" | "disk"): void {
    if (!this.running) return;
    this.running = false;
    this.#life++;
    this.#backlog = [];
    for (const group of this.groups.values()) group.abandon();
    this.groups.clear();
    this.#runner = null;
    if (how === "power") this.disk.powerFails();
    else this.disk.processDies();
  }

  stopFor(ms: number): void {
    if (!this.running || this.stopped) return;
    this.stopped = true;
    const life = this.#life;
    this.cluster.world.after(ms, () => {
      if (this.#life !== life) return;
      this.stopped = false;
      for (const run of this.#backlog.splice(0)) run();
    });
  }

  /** In one turn with the entry that asks for it: an image of the parent beyond that entry has the child beside it. */
  create(group: number, members: Pick<ConfState, "voters" | "learners">, registers: SimRegisters): void {
    const before = this.groups.get(group)?.node.hardState;
    const restored = newGroup(members, registers.toBytes(), before);
    void this.#runner?.write({ group, ...restored });
    this.#add(group, restored, registers);
  }

  receive(group: number, bytes: Buffer): void {
    if (!this.running) return;
    const message = decodeMessage(bytes);
    const known = this.groups.get(group) ?? this.#createEmpty(group);
    if (known === null || this.cluster.mischief?.incoming?.(message, this, group) === true) return;
    this.#guarded(() => known.node.step(message));
    this.wake(group);
  }

  wake(group: number): void {
    this.#runner?.wake(group);
  }

  send(group: number, messages: readonly RaftMessage[]): void {
    const { mischief } = this.cluster;
    for (const message of messages)
      for (const sent of mischief?.outgoing?.(message, this, group) ?? [message])
        this.cluster.network.send(group, sent.from, sent.to, encodeMessage(sent));
  }

  /** A member whose range a group here still covers is mostly made by the split itself, which is on its way. */
  #createEmpty(group: number): SimGroup | null {
    const parent = this.groups.get(1);
    if (parent?.registers.splitsOff(group) === false && this.#random.int(10) < 7) return null;
    void this.#runner?.write({ group, meta: Buffer.from("member") });
    return this.#add(group, emptyMember(), new SimRegisters());
  }

  #add(id: number, restored: Restored, registers: SimRegisters): SimGroup {
    this.groups.get(id)?.abandon();
    const random = this.#random.fork(`${this.#life}/${id}`);
    const { mischief, lease } = this.cluster;
    const real = (): number => this.monotonic();
    const monotonic = mischief?.monotonic?.(real, this) ?? real;
    const group = new SimGroup(this, id, restored, registers, random, lease ? { ...LEASE, monotonic } : null);
    this.groups.set(id, group);
    this.#runner?.add(group);
    return group;
  }

  #tick(): void {
    // A timer never fires early, and often late; it does not make up for what it missed.
    this.later((TICK_MS + this.#random.next() * 2) / this.#clock.rate, () => this.#tick());
    for (const [id, { node }] of this.groups) {
      this.#guarded(() => node.tick());
      if (node.appliedIndex - node.firstIndex > this.cluster.compactAbove) {
        node.compact(node.appliedIndex - this.cluster.compactAbove / 2);
        this.cluster.stats.compactions++;
      }
      this.wake(id);
    }
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw error instanceof BrokenPromise ? error : new BrokenPromise("no exception", String(error));
    }
  }

  /** The judge sees every entry that is written. */
  #watched(storage: RaftStorage): RaftStorage {
    const { judge, stats } = this.cluster;
    return {
      get sizeBytes() {
        return storage.sizeBytes;
      },
      write: (updates) => {
        for (const { group, entries } of updates)
          if (entries !== undefined && entries.length > 0)
            this.cluster.observe(() => judge.onWritten(group, this.groups.get(group)?.node, entries));
        return storage.write(updates);
      },
      rewrite: (images) => {
        stats.rewrites++;
        return storage.rewrite(images);
      },
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  }
}

interface Waiting {
  readonly term: number;
  settle(outcome: Outcome | null): void;
}

/** One member of one group: the state machine is a handful of registers. */
export class SimGroup implements RaftGroup {
  readonly id: number;
  readonly node: RaftNode;
  registers: SimRegisters;
  readonly #process: SimProcess;
  readonly #writes = new Map<number, Waiting>();
  readonly #reads = new Map<number, { index: number | null; serve(): void; fail(): void }>();
  #nextRead = 1;
  readonly #lease: LeaseOptions | null;

  constructor(
    process: SimProcess,
    id: number,
    restored: Restored,
    registers: SimRegisters,
    random: ConstructorParameters<typeof RaftNode>[0]["random"],
    lease: LeaseOptions | null,
  ) {
    this.id = id;
    this.registers = registers;
    this.#process = process;
    this.#lease = lease;
    this.node = new RaftNode({
      id: process.id,
      restored,
      random,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      ...(lease === null ? {} : { lease }),
      takeSnapshot: () => this.registers.toBytes(),
    });
  }

  /** `settle(null)` = nobody knows. @returns false when it was refused. */
  propose(command: Command, settle: Waiting["settle"]): boolean {
    const at = this.node.propose(Buffer.from(JSON.stringify(command)));
    if (at === null) return false;
    this.#writes.set(at.index, { term: at.term, settle });
    this.#process.wake(this.id);
    if (command.kind === "write" && this.#process.cluster.mischief?.acknowledgesEarly === true)
      settle({ found: 0, applied: true });
    return true;
  }

  read(serve: () => void, fail: () => void): boolean {
    const { stats, mischief } = this.#process.cluster;
    const context = this.#nextRead++;
    const read = { index: null as number | null, serve, fail };
    const planted = this.node.isLeader && mischief?.read?.(this.node, (index) => (read.index = index)) === true;
    if (this.#lease !== null && this.node.leaseUntil > this.#lease.monotonic()) stats.leasedReads++;
    else stats.indexReads++;
    if (!planted && !this.node.readIndex(context)) return false;
    this.#reads.set(context, read);
    if (planted) this.#serveReads(this.node.appliedIndex);
    this.#process.wake(this.id);
    return true;
  }

  abandon(): void {
    for (const { settle } of this.#writes.values()) settle(null);
    for (const { fail } of this.#reads.values()) fail();
    this.#writes.clear();
    this.#reads.clear();
  }

  send(messages: readonly RaftMessage[]): void {
    this.#process.send(this.id, messages);
  }

  apply(entries: readonly Entry[]): void {
    const { cluster } = this.#process;
    cluster.observe(() => {
      for (const entry of entries) {
        cluster.judge.onApplied(this.id, this.#process.id, this.node, entry);
        this.#settle(entry, entry.kind === "conf" ? this.#applyConf(entry) : this.#applyCommand(entry));
      }
    });
    this.#serveReads(entries.at(-1)?.index ?? 0);
  }

  restore(snapshot: RaftSnapshot): void {
    this.registers = SimRegisters.from(snapshot.data);
    this.#process.cluster.stats.snapshotsInstalled++;
  }

  onRole(state: RoleState): void {
    const { cluster, id } = this.#process;
    cluster.world.note(() => `${id} group ${this.id}: ${state.role} of term ${state.term}, leader ${state.leader}`);
    cluster.observe(() => cluster.judge.onRole(this.id, id, this.node, state));
    if (state.role === "leader") return;
    for (const { fail } of this.#reads.values()) fail();
    this.#reads.clear();
  }

  onReads(states: readonly ReadState[]): void {
    for (const { context, index } of states) {
      const read = this.#reads.get(context);
      if (read !== undefined) read.index = index;
    }
    this.#serveReads(this.node.appliedIndex);
  }

  #applyConf(entry: Entry): Outcome {
    const { cluster, id } = this.#process;
    const change = decodeConfChange(entry.data);
    if (cluster.mischief?.applyConf !== undefined) cluster.mischief.applyConf(this.node, change);
    else this.node.applyConfChange(change);
    cluster.world.note(() => `${id} group ${this.id}: at ${entry.index} ${JSON.stringify(this.node.conf)}`);
    return { found: 0, applied: true };
  }

  #applyCommand({ data }: Entry): Outcome {
    if (data.length === 0) return { found: 0, applied: true };
    const command = JSON.parse(data.toString()) as Command;
    if (command.kind !== "split") return this.registers.apply(command);
    const { conf } = this.node;
    // Decided alike everywhere: the configuration is part of what all have applied.
    const child = conf.votersOutgoing.length > 0 ? null : this.registers.split(command);
    if (child === null) return { found: 0, applied: false };
    this.#process.cluster.stats.splits++;
    if (![...conf.voters, ...conf.learners].includes(this.#process.id)) return { found: 0, applied: true };
    const existing = this.#process.groups.get(command.group);
    // After a restart the parent's log is applied again, and what it split off may have come further since.
    if (existing === undefined || existing.node.firstIndex === 1) {
      this.#process.create(command.group, conf, child);
      if (this.node.isLeader) this.#process.groups.get(command.group)?.node.campaign();
    }
    return { found: 0, applied: true };
  }

  #settle(entry: Entry, outcome: Outcome): void {
    const waiting = this.#writes.get(entry.index);
    if (waiting === undefined) return;
    this.#writes.delete(entry.index);
    const own = waiting.term === entry.term;
    if (own && outcome.applied) this.#process.cluster.judge.onAcknowledged(this.id, entry.index, entry.term);
    waiting.settle(own ? outcome : { found: 0, applied: false });
  }

  #serveReads(applied: number): void {
    for (const [context, { index, serve }] of this.#reads) {
      if (index === null || index > applied) continue;
      this.#reads.delete(context);
      serve();
    }
  }
}
