import { seededRandom } from "../../../harness/base/random.ts";
import { SimClient } from "./sim-client.ts";
import { KEYS, SimCluster } from "./sim-cluster.ts";
import type { RegisterInput } from "./linearizable.ts";
import { BrokenPromise } from "./sim-judge.ts";
import type { Mischief } from "./sim-mischief.ts";
import { linkOf } from "./sim-network.ts";
import { heal, leave, perform, planOf, type Action, type Theme } from "./sim-plan.ts";
import { addStats, newStats, type SimStats } from "./sim-stats.ts";

export interface ScheduleResult {
  readonly theme: Theme;
  readonly seed: string;
  readonly plan: readonly Action[];
  readonly broken: BrokenPromise | null;
  readonly stats: SimStats;
  readonly trace: readonly string[];
}

export interface ScheduleOptions {
  readonly mischief?: Mischief | null;
  /** Instead of the seed's own: for making a failure smaller. */
  readonly plan?: readonly Action[];
  readonly traced?: boolean;
}

const CLIENTS = 4;
/** Election time-outs are 0.3 to 0.6 s; a few attempts may collide. */
const PATIENCE_MS = 20_000;

/** Peace needs no more than a tenth of that. */
const MANY_STEPS = 100_000;

/** One life of a cluster, a function of its seed: trouble, then peace, in which everything has to work again. */
export async function runSchedule(theme: Theme, seed: string, options: ScheduleOptions = {}): Promise<ScheduleResult> {
  const random = seededRandom(`${theme}/${seed}`);
  const shape = random.fork("shape");
  const processes = theme === "elections" ? 3 : shape.pick([3, 4, 5, 5, 6]);
  const voters = Math.min(processes, theme === "elections" ? 3 : shape.pick([2, 3, 3, 3, 5]));
  const lengthMs = theme === "leases" ? 2_000 : shape.pick([700, 1_200, 2_200]);
  const cluster = new SimCluster({
    random: random.fork("cluster"),
    processes,
    voters,
    lease: theme === "leases" || (theme !== "elections" && shape.int(2) === 0),
    eager: theme === "snapshots",
    mischief: options.mischief ?? null,
    traced: options.traced ?? false,
  });
  const plan = options.plan ?? planOf(random.fork("plan"), theme, processes, lengthMs);
  try {
    await live(cluster, plan, lengthMs);
  } catch (error) {
    cluster.broken ??= error instanceof BrokenPromise ? error : new BrokenPromise("no exception", errorLines(error));
  }
  return { theme, seed, plan, broken: cluster.broken, stats: statsOf(cluster), trace: cluster.world.trace ?? [] };
}

async function live(cluster: SimCluster, plan: readonly Action[], lengthMs: number): Promise<void> {
  const { world, judge } = cluster;
  const clients = Array.from({ length: CLIENTS }, (_, at) => new SimClient(cluster, at + 1));
  for (const action of plan) world.after(action.at, () => perform(cluster, action));
  await cluster.run(lengthMs);
  if (cluster.broken !== null) return;
  // What is stopped or waits for something goes on by itself within that time.
  heal(cluster);
  for (const client of clients) client.active = false;
  await settle(cluster);
  await finalOperations(cluster, clients[0] as SimClient);
  if (cluster.broken !== null) return;
  await converge(cluster);
  judge.checkHistories();
}

/**
 * A member that was away, and found nobody to elect it, comes back to a leader that had a majority all the time:
 * neither the leader nor its term may change by that (Raft thesis, 9.6).
 */
export async function runReturn(seed: string, mischief: Mischief | null = null): Promise<ScheduleResult> {
  const random = seededRandom(`return/${seed}`);
  const shape = random.fork("shape");
  const processes = shape.pick([3, 4, 5]);
  const lease = shape.int(2) === 0;
  const cluster = new SimCluster({
    random: random.fork("cluster"),
    processes,
    voters: processes,
    lease,
    eager: false,
    mischief,
    traced: false,
  });
  const { world, network, stats } = cluster;
  // Nothing else happens: a message that takes longer than a time-out would be a reason of its own.
  network.straggling = 0;
  for (let id = 1; id <= 2; id++) new SimClient(cluster, id);
  const leader = (): string => {
    const [first] = cluster.leaders(1);
    return first === undefined ? "nobody" : `${first.process.id} in term ${first.group.node.roleState.term}`;
  };
  await cluster.run(1_000);
  const before = leader();
  const away = shape.pick(cluster.processes.filter(({ id }) => `${id}` !== before.split(" ")[0])).id;
  for (const { id } of cluster.processes) network.cut.add(linkOf(away, id)).add(linkOf(id, away));
  stats.partitions++;
  await cluster.run(world.now + shape.pick([700, 1_500, 3_000]));
  network.cut.clear();
  await cluster.run(world.now + 1_000);
  if (leader() !== before)
    cluster.broken ??= new BrokenPromise(
      "undisturbed leader",
      `${before} led when ${away} came back, then ${leader()}`,
    );
  return { theme: "mixed", seed, plan: [], broken: cluster.broken, stats: statsOf(cluster), trace: [] };
}

/** Every group gets a leader that has committed in its own term, and no configuration stays joint. */
async function settle(cluster: SimCluster): Promise<void> {
  await until(cluster, "every group is led and out of joint configurations", () =>
    cluster.groupIds().every((id) => {
      const [leader] = cluster.leaders(id);
      if (leader === undefined || leader.process.stopped || !leader.group.node.leadsFirmly) return isVoid(cluster, id);
      const { group, process } = leader;
      if (group.node.conf.votersOutgoing.length === 0) return true;
      leave(cluster, group);
      process.wake(id);
      return false;
    }),
  );
}

/** Members that were made by messages of a leader that never committed the split stay without a log. */
function isVoid(cluster: SimCluster, id: number): boolean {
  return cluster.processes.every(({ groups }) => (groups.get(id)?.node.conf.voters.length ?? 0) === 0);
}

/** Each key can be read and written, and what was acknowledged is still there: the judge compares. */
async function finalOperations(cluster: SimCluster, client: SimClient): Promise<void> {
  let left = 0;
  for (let key = 0; key < KEYS; key++) {
    const inputs: RegisterInput[] = [{ kind: "read" }, { kind: "write", value: 10_000_000 + key }, { kind: "read" }];
    left += inputs.length;
    const next = (): void => {
      const [input] = inputs;
      if (input === undefined) return;
      client.perform(key, input, (answered) => {
        if (answered) {
          inputs.shift();
          left--;
        } else if (input.kind === "write") inputs[0] = { ...input, value: input.value + KEYS };
        next();
      });
    };
    next();
  }
  await until(cluster, "every key can be used", () => left === 0);
}

/** Members that belong to a group end with the same log and the same registers. */
async function converge(cluster: SimCluster): Promise<void> {
  for (const id of cluster.groupIds()) {
    if (isVoid(cluster, id)) continue;
    await until(cluster, `group ${id} agrees`, () => {
      const [leader] = cluster.leaders(id);
      if (leader === undefined) return false;
      const { node, registers } = leader.group;
      const expected = registers.toBytes();
      return [...node.conf.voters, ...node.conf.learners].every((member) => {
        const group = cluster.process(member).groups.get(id);
        return group?.node.appliedIndex === node.commitIndex && group.registers.toBytes().equals(expected);
      });
    });
    const [leader] = cluster.leaders(id);
    if (leader !== undefined) cluster.judge.checkAcknowledged(id, leader.group.node);
  }
}

async function until(cluster: SimCluster, what: string, isSo: () => boolean): Promise<void> {
  const deadline = cluster.world.now + PATIENCE_MS;
  const { steps } = cluster.world;
  while (cluster.broken === null && !isSo()) {
    if (cluster.world.now > deadline || cluster.world.steps > steps + MANY_STEPS)
      throw new BrokenPromise(what.endsWith("agrees") ? "convergence" : "liveness", `it never comes that ${what}`);
    await cluster.run(cluster.world.now + 5);
  }
}

function statsOf({ stats, world, judge, processes }: SimCluster): SimStats {
  const tornTails = processes.reduce((sum, { disk }) => sum + disk.tornTails, 0);
  return { ...stats, schedules: 1, steps: world.steps, elections: judge.elections, tornTails };
}

function errorLines(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** @throws Error with seed, smallest plan and the end of the trace when a schedule breaks a promise. */
export async function runSchedules(theme: Theme, from: number, count: number): Promise<SimStats> {
  const sum = newStats();
  for (let number = from; number < from + count; number++) {
    const result = await runSchedule(theme, `${number}`);
    addStats(sum, result.stats);
    if (result.broken !== null) throw new Error(await report(result));
  }
  return sum;
}

/** Leaves out what is not needed for the same check to fail, then tells the story. */
export async function report(failed: ScheduleResult, mischief: Mischief | null = null): Promise<string> {
  let plan = [...failed.plan];
  for (let size = Math.ceil(plan.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < plan.length;) {
      const fewer = [...plan.slice(0, at), ...plan.slice(at + size)];
      const again = await runSchedule(failed.theme, failed.seed, { plan: fewer, mischief });
      if (again.broken?.check === failed.broken?.check) plan = fewer;
      else at += size;
    }
  const { broken, trace } = await runSchedule(failed.theme, failed.seed, { plan, mischief, traced: true });
  const actions = plan.map(({ at, kind, process, forMs }) => `  ${at} ms: ${kind} ${process} for ${forMs} ms`);
  return [
    `schedule ${failed.theme}/${failed.seed}: ${broken?.message ?? failed.broken?.message ?? ""}`,
    "smallest plan:",
    ...actions,
    "trace:",
    ...trace.filter((line) => !line.endsWith("-> undefined")).slice(-80),
  ].join("\n");
}
