import { describe, expect, it } from "vitest";
import { seededRandom, type Random } from "../../../harness/base/random.ts";
import { RaftCluster } from "../../support/raft-cluster.ts";

const STEPS = 4_000;

/** One random life of a group; throws when a safety property breaks. */
function live(cluster: RaftCluster, random: Random, act: (id: number) => void): void {
  const ids = [...cluster.machines.keys()];
  // Some disks are slow and some lives are rough, so that rare interleavings have their schedules too.
  const slowDisk = new Set(ids.filter(() => random.int(3) === 0));
  const crashes = random.pick([2, 10, 40]);
  const leader = (otherwise: number): number => cluster.leader?.id ?? otherwise;
  const acts: readonly (readonly [weight: number, act: (id: number) => void])[] = [
    [300, () => cluster.deliver(0)],
    [100, () => cluster.deliver(anyMessage())],
    [15, () => cluster.deliver(anyMessage(), { keep: true })],
    [10, () => cluster.network.splice(anyMessage(), 1)],
    [250, (id) => (slowDisk.has(id) && random.int(20) !== 0 ? undefined : cluster.sync(id))],
    [200, (id) => cluster.tick(id)],
    [60, (id) => cluster.propose(leader(id))],
    [20, (id) => cluster.read(random.int(3) === 0 ? id : leader(id))],
    [crashes, (id) => (cluster.machine(id).node === null ? undefined : cluster.crash(id))],
    [2 * crashes, (id) => (cluster.machine(id).node === null ? cluster.start(id) : undefined)],
    [6, (id) => (cluster.cut.delete(id) ? undefined : cluster.cut.add(id))],
    [8, (id) => cluster.compact(id, random.int(5))],
    [4, (id) => cluster.transfer(leader(id), id)],
    [30, act],
  ];
  const anyMessage = (): number => random.int(Math.max(1, cluster.network.length));
  const total = acts.reduce((sum, [weight]) => sum + weight, 0);
  for (let step = 0; step < STEPS; step++) {
    let roll = random.int(total);
    acts.find(([weight]) => (roll -= weight) < 0)?.[1](random.pick(ids));
  }
}

function heal(cluster: RaftCluster): void {
  cluster.cut.clear();
  for (const [id, { node }] of cluster.machines) if (node === null) cluster.start(id);
  cluster.settle(60);
}

describe("random schedules of loss, repetition, reordering, crashes and partitions", () => {
  for (const size of [3, 5])
    it(`keeps every acknowledged value and one leader a term with ${size} members (100 schedules)`, () => {
      let acknowledged = 0;
      let reads = 0;
      for (let number = 0; number < 100; number++) {
        const random = seededRandom(`${size}/${number}`);
        const cluster = new RaftCluster([1, 2, 3, 4, 5].slice(0, size), random.fork("nodes"));
        live(cluster, random, () => {});
        heal(cluster);
        cluster.checkConverged();
        acknowledged += cluster.acknowledged.length;
        reads += cluster.readsAnswered;
      }
      expect(acknowledged).toBeGreaterThan(500);
      expect(reads).toBeGreaterThan(100);
    });

  it("keeps them while members are added and removed (150 schedules)", () => {
    let changes = 0;
    let acknowledged = 0;
    for (let number = 0; number < 150; number++) {
      const random = seededRandom(`change/${number}`);
      const cluster = new RaftCluster([1, 2, 3, 4], random.fork("nodes"), [1, 2, 3]);
      live(cluster, random, (id) => {
        const { leader } = cluster;
        if (leader === null || leader.id === id) return;
        const voters = leader.node?.conf.voters ?? [];
        const type = voters.includes(id) ? "remove" : random.pick(["add-voter", "add-learner"] as const);
        if (type === "remove" && voters.length < 3) return;
        if (cluster.change(leader.id, { steps: [{ type, id }], transition: "auto", context: Buffer.alloc(0) }))
          changes++;
      });
      heal(cluster);
      cluster.checkConverged();
      acknowledged += cluster.acknowledged.length;
    }
    expect(changes).toBeGreaterThan(100);
    expect(acknowledged).toBeGreaterThan(500);
  });
});
