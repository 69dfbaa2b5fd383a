import type { Random } from "../../../harness/base/random.ts";
import type { GroupUpdate } from "../../../subjects/common/raft/index.ts";
import { BrokenPromise, SimJudge } from "./sim-judge.ts";
import type { Mischief } from "./sim-mischief.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimProcess, type SimGroup } from "./sim-process.ts";
import { SimRegisters } from "./sim-registers.ts";
import { newStats, type SimStats } from "./sim-stats.ts";
import { SimWorld } from "./sim-world.ts";

export const KEYS = 4;

export interface SimClusterOptions {
  readonly random: Random;
  readonly processes: number;
  readonly voters: number;
  readonly lease: boolean;
  /** Compacts and rewrites at every opportunity. */
  readonly eager: boolean;
  readonly mischief: Mischief | null;
  readonly traced: boolean;
}

/** Machines, a network, and somebody who sees everything. */
export class SimCluster {
  readonly world: SimWorld;
  readonly stats: SimStats = newStats();
  readonly judge = new SimJudge();
  readonly network: SimNetwork;
  readonly processes: readonly SimProcess[];
  readonly mischief: Mischief | null;
  readonly lease: boolean;
  readonly rewriteAfterBytes: number;
  readonly compactAbove: number;
  /** What a sync takes at most, in peace. */
  readonly diskMs: number;
  /** The first promise that was broken. */
  broken: BrokenPromise | null = null;

  constructor({ random, processes, voters, lease, eager, mischief, traced }: SimClusterOptions) {
    this.world = new SimWorld(random, traced);
    this.mischief = mischief;
    this.lease = lease;
    this.rewriteAfterBytes = eager ? 1_500 : random.pick([1_500, 6_000, 1_000_000]);
    this.compactAbove = eager ? 4 : random.pick([4, 12, 1_000_000]);
    this.diskMs = random.pick([2, 6, 20]);
    this.network = new SimNetwork(this.world, this.stats, (to, group, bytes) => {
      const process = this.process(to);
      process.later(0, () => process.receive(group, bytes));
    });
    this.processes = Array.from({ length: processes }, (_, at) => new SimProcess(this, at + 1));
    const first = { voters: this.processes.slice(0, voters).map(({ id }) => id), learners: [] };
    for (const process of this.processes) {
      process.start();
      if (first.voters.includes(process.id))
        process.create(1, first, new SimRegisters({ from: 0, to: KEYS, values: [], splitOff: [] }));
    }
    this.process(1).groups.get(1)?.node.campaign();
  }

  process(id: number): SimProcess {
    return this.processes[id - 1] as SimProcess;
  }

  /** Those who believe that they lead, the latest term first. */
  leaders(group: number): { readonly process: SimProcess; readonly group: SimGroup }[] {
    return this.processes
      .flatMap((process) => {
        const member = process.groups.get(group);
        return member?.node.isLeader === true ? [{ process, group: member }] : [];
      })
      .sort((a, b) => b.group.node.roleState.term - a.group.node.roleState.term);
  }

  /** Every group that anybody has. */
  groupIds(): number[] {
    return [...new Set(this.processes.flatMap(({ groups }) => [...groups.keys()]))].sort((a, b) => a - b);
  }

  /** Who of a process holds this key. */
  holder(process: SimProcess, key: number): SimGroup | undefined {
    for (const group of process.groups.values()) if (group.registers.holds(key)) return group;
    return undefined;
  }

  /** The judge speaks while a runner works, which must not take it for a failure of its own. */
  observe(act: () => void): void {
    if (this.broken !== null) return;
    try {
      act();
    } catch (error) {
      this.broken = error instanceof BrokenPromise ? error : new BrokenPromise("no exception", String(error));
    }
  }

  /** The process ends and finds this on its disk, whatever stood there. */
  overwrite(process: SimProcess, update: GroupUpdate): void {
    process.die("kill");
    process.disk.append(update);
    process.start();
  }

  run(until: number): Promise<void> {
    return this.world.run(until, () => this.broken !== null);
  }
}
