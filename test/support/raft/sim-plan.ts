import type { Random } from "../../../harness/base/random.ts";
import type { ConfChange, ConfTransition } from "../../../subjects/common/raft/index.ts";
import { KEYS, type SimCluster } from "./sim-cluster.ts";
import { linkOf } from "./sim-network.ts";
import type { SimGroup, SimProcess } from "./sim-process.ts";

const KINDS = [
  "kill",
  "power",
  "power-all",
  "stop",
  "partition",
  "one-way",
  "bad-network",
  "slow-disk",
  "disk-error",
  "transfer",
  "change",
  "leave",
  "split",
  "campaign",
  "duel",
  "usurp",
  "freeze",
] as const;

type Kind = (typeof KINDS)[number];

/** One thing that happens in a schedule; it ends by itself. `roll` decides what is left open. */
export interface Action {
  readonly at: number;
  readonly kind: Kind;
  /** 0 = whoever leads then. */
  readonly process: number;
  readonly forMs: number;
  readonly roll: number;
}

/** How often each kind comes where the theme does not say. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  kill: 5,
  power: 3,
  "power-all": 1,
  stop: 3,
  partition: 5,
  "one-way": 3,
  "bad-network": 2,
  "slow-disk": 2,
  "disk-error": 2,
  transfer: 3,
  change: 12,
  leave: 6,
  split: 1,
  campaign: 2,
  duel: 2,
  usurp: 1,
  freeze: 1,
};

interface ThemeShape {
  /** Three of four actions are of these kinds. */
  readonly kinds: readonly Kind[];
  /** No more actions than that; unset = it varies. */
  readonly most?: number;
  /** One after another over the whole schedule: what needs a while for itself. */
  readonly spread?: boolean;
}

export type Theme =
  "mixed" | "elections" | "leases" | "membership" | "disks" | "network" | "splits" | "snapshots" | "leaders";

/** What a schedule is mostly about, so that rare combinations have schedules of their own. */
export const THEMES: Readonly<Record<Theme, ThemeShape>> = {
  mixed: { kinds: [] },
  elections: { kinds: ["duel"], most: 14, spread: true },
  leases: { kinds: ["transfer", "freeze", "usurp"], most: 4, spread: true },
  membership: { kinds: ["change", "change", "leave", "partition"] },
  disks: { kinds: ["power", "power-all", "disk-error", "kill"] },
  network: { kinds: ["bad-network", "partition", "one-way"] },
  splits: { kinds: ["split", "stop", "partition", "duel"] },
  snapshots: { kinds: ["bad-network", "partition", "stop", "kill"] },
  leaders: { kinds: ["transfer", "kill", "partition", "power"] },
};

/** Trouble comes in storms: what breaks a protocol is several things within one election time-out. */
export function planOf(random: Random, theme: Theme, processes: number, lengthMs: number): Action[] {
  const { kinds, most = random.pick([6, 12, 25]), spread = random.int(4) === 0 } = THEMES[theme];
  const weighted = KINDS.flatMap((kind) => Array<Kind>(WEIGHTS[kind]).fill(kind));
  const storms = Array.from({ length: 1 + random.int(3) }, () => ({
    from: 100 + random.int(lengthMs - 400),
    forMs: random.pick([50, 200, 500, 1_500]),
  }));
  return Array.from({ length: 1 + random.int(most) }, () => {
    const { from, forMs } = spread ? { from: 100, forMs: lengthMs - 200 } : random.pick(storms);
    return {
      at: Math.min(lengthMs, from + random.int(forMs)),
      kind: kinds.length > 0 && random.int(4) > 0 ? random.pick(kinds) : random.pick(weighted),
      process: random.int(3) === 0 ? 0 : 1 + random.int(processes),
      forMs: 5 + random.int(random.pick([30, 200, 1_000])),
      roll: random.int(1 << 30),
    };
  }).sort((a, b) => a.at - b.at);
}

export function perform(cluster: SimCluster, { kind, process: whom, forMs, roll }: Action): void {
  const { world, network, stats } = cluster;
  const groups = cluster.groupIds();
  const leader = cluster.leaders(groups[roll % groups.length] ?? 1)[0]?.process;
  const id = whom === 0 ? (leader?.id ?? 1) : whom;
  const process = cluster.process(id);
  world.note(() => `-- ${kind} ${id} for ${forMs} ms`);
  const revive = (one: SimProcess): void => world.after(forMs, () => one.running || one.start());
  switch (kind) {
    case "kill":
    case "power":
      if (!process.running) return;
      stats[kind === "kill" ? "kills" : "powerLosses"]++;
      process.die(kind);
      return revive(process);
    case "power-all":
      for (const one of cluster.processes.filter(({ running }) => running)) {
        stats.powerLosses++;
        one.die("power");
        revive(one);
      }
      return;
    case "stop":
      stats.stops++;
      process.stopFor(forMs);
      return roll % 2 === 0 ? cut(cluster, linksBetween(cluster, [id]), forMs) : undefined;
    case "partition":
    case "one-way":
      return cut(cluster, linksOf(cluster, kind, id, roll), forMs);
    case "duel":
      return duel(cluster, roll);
    case "usurp":
      return usurp(cluster, roll);
    case "freeze":
      if (leader === undefined) return;
      stats.stops++;
      leader.stopFor(500 + (roll % 400));
      return cut(cluster, linksBetween(cluster, [leader.id]), 600 + (roll % 100));
    case "bad-network":
      network.loss = (roll % 30) / 100;
      network.repetition = (roll % 7) / 20;
      network.straggling = (roll % 11) / 40;
      world.after(forMs, () => quiet(cluster));
      return;
    case "slow-disk":
      process.disk.slownessMs = 20 + (roll % 150);
      world.after(forMs, () => (process.disk.slownessMs = cluster.diskMs));
      return;
    case "disk-error":
      process.disk.failNext = true;
      world.after(forMs, () => (process.disk.failNext = false));
      return;
    case "campaign":
      return campaign(process);
    default:
      return atLeader(cluster, kind, id, roll);
  }
}

/** No more trouble; what is down comes up. */
export function heal(cluster: SimCluster): void {
  cluster.world.note(() => "-- everything heals");
  cluster.network.cut.clear();
  quiet(cluster);
  for (const process of cluster.processes) {
    process.disk.failNext = false;
    process.disk.slownessMs = cluster.diskMs;
    if (!process.running) process.start();
  }
}

function quiet({ network }: SimCluster): void {
  network.loss = 0;
  network.repetition = 0.01;
  network.straggling = 0.02;
}

function linksOf(cluster: SimCluster, kind: "partition" | "one-way", id: number, roll: number): number[] {
  const ids = cluster.processes.map((process) => process.id);
  // Alone, or with some of the others; one way: not heard, or does not hear.
  const side = new Set(ids.filter((other) => other === id || (roll & (1 << other)) !== 0));
  const lone = new Set([id]);
  const inner = (roll & 1) === 0 ? lone : side;
  return ids.flatMap((a) =>
    ids.flatMap((b) => {
      if (inner.has(a) === inner.has(b)) return [];
      return kind === "partition" || inner.has(a) === ((roll & 2) === 0) ? [linkOf(a, b)] : [];
    }),
  );
}

function linksBetween({ processes }: SimCluster, some: readonly number[]): number[] {
  return processes.flatMap(({ id }) =>
    some.includes(id) ? [] : some.flatMap((one) => [linkOf(one, id), linkOf(id, one)]),
  );
}

/** All forget their leader; two stand for election at once while the others come and go. */
function duel(cluster: SimCluster, roll: number): void {
  const { world, network, stats } = cluster;
  const random = world.random.fork(`duel/${roll}`);
  const restart = (process: SimProcess): void => {
    if (!process.running) return;
    stats.kills++;
    process.die("kill");
    world.after(1 + random.int(4), () => process.running || process.start());
  };
  for (const process of cluster.processes) restart(process);
  network.straggling = 0.3;
  world.after(400, () => quiet(cluster));
  const first = random.pick(cluster.processes);
  const second = random.pick(cluster.processes.filter((process) => process !== first));
  const others = cluster.processes.filter((process) => process !== first && process !== second);
  const at = 8 + random.int(15);
  for (const process of [first, second]) world.after(at + random.int(6), () => campaign(process));
  for (let round = 0; round < 6; round++) world.after(at + 8 + random.int(80), () => restart(random.pick(others)));
}

function campaign(process: SimProcess): void {
  for (const [group, { node }] of process.groups) {
    node.campaign();
    process.wake(group);
  }
}

/** A member that its leader cannot reach stands for election just when all others forget what they promised. */
function usurp(cluster: SimCluster, roll: number): void {
  const { world } = cluster;
  const [leader] = cluster.leaders(1);
  if (leader === undefined) return;
  const old = leader.process.id;
  const others = leader.group.node.conf.voters.filter((voter) => voter !== old);
  const id = others[roll % others.length] ?? old;
  cut(cluster, [linkOf(old, id), linkOf(id, old)], 900);
  world.after(300 + (roll % 500), () => {
    cut(cluster, linksBetween(cluster, [old]), 400);
    for (const process of cluster.processes) {
      if (process.id === old || process.id === id || !process.running) continue;
      cluster.stats.kills++;
      process.die("kill");
      world.after(2, () => process.running || process.start());
    }
    world.after(5 + (roll % 20), () => campaign(cluster.process(id)));
  });
}

function cut({ world, network, stats }: SimCluster, links: readonly number[], forMs: number): void {
  stats.partitions++;
  for (const link of links) network.cut.add(link);
  world.after(forMs * 1.5, () => {
    for (const link of links) network.cut.delete(link);
  });
}

function atLeader(
  cluster: SimCluster,
  kind: "transfer" | "change" | "leave" | "split",
  id: number,
  roll: number,
): void {
  const groups = cluster.groupIds();
  const groupId = groups[roll % groups.length] ?? 1;
  const [leader] = cluster.leaders(groupId);
  if (leader === undefined || leader.process.stopped) return;
  const { process, group } = leader;
  // What changes hands or members is often cut off while it does.
  const after = { at: 0, kind: "partition" as const, process: 0, forMs: 200 + (roll % 600), roll: roll >> 3 };
  if (kind === "transfer" && roll % 3 > 0) {
    const into = cluster.processes.flatMap(({ id: from }) => (from === process.id ? [] : [linkOf(from, process.id)]));
    cluster.world.after(roll % 12, () => cut(cluster, into, 300));
  }
  if (kind === "change" && roll % 3 > 0)
    cluster.world.after(roll % 40, () => perform(cluster, { ...after, process: process.id }));
  const others = group.node.conf.voters.filter((voter) => voter !== process.id);
  if (kind === "transfer") transfer(cluster, process, group, others[roll % others.length] ?? id);
  else if (kind === "change") change(cluster, group, roll);
  else if (kind === "leave") leave(cluster, group);
  else group.propose({ kind: "split", at: 1 + (roll % (KEYS - 1)), group: groupId * 10 + (roll % 3) }, () => {});
  process.wake(groupId);
}

function transfer({ stats, mischief }: SimCluster, process: SimProcess, { id, node }: SimGroup, to: number): void {
  if (mischief?.transfer !== undefined) mischief.transfer(process, id, node, to);
  else if (!node.transferLeader(to)) return;
  stats.transfers++;
}

function change(cluster: SimCluster, group: SimGroup, roll: number): void {
  const { stats, world } = cluster;
  const random = world.random.fork(`change/${roll}`);
  const { voters, learners } = group.node.conf;
  // Each process gets a role of its own, or (of single steps) one does.
  const only = random.int(3) === 0 ? random.pick(cluster.processes).id : null;
  const steps = cluster.processes.flatMap(({ id }): ConfChange["steps"] => {
    const is = voters.includes(id) ? "add-voter" : learners.includes(id) ? "add-learner" : "remove";
    const type = random.pick(["add-voter", "add-voter", "add-learner", "remove"] as const);
    return type === is || (only !== null && id !== only) ? [] : [{ type, id }];
  });
  if (steps.length === 0) return;
  const transition: ConfTransition = random.pick(["auto", "auto", "implicit", "explicit"] as const);
  const wanted: ConfChange = { steps, transition, context: Buffer.alloc(0) };
  if (votersAfter(group, wanted) < 2) return;
  if (group.node.proposeConfChange(wanted) === null) return;
  if (transition === "auto" && steps.length === 1) stats.simpleChanges++;
  else stats.jointChanges++;
  world.note(() => `leader of group ${group.id} proposes ${transition} ${JSON.stringify(steps)}`);
}

function votersAfter({ node }: SimGroup, { steps }: ConfChange): number {
  const voters = new Set(node.conf.voters);
  for (const { type, id } of steps) {
    if (type === "add-voter") voters.add(id);
    else voters.delete(id);
  }
  return voters.size;
}

export function leave({ stats }: SimCluster, { node }: SimGroup): void {
  if (node.proposeConfChange({ steps: [], transition: "auto", context: Buffer.alloc(0) }) !== null) stats.leaves++;
}
