import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../harness/base/random.ts";
import { newGroup, RaftNode, type RaftMessage } from "../../../subjects/common/raft/index.ts";
import { SimCluster } from "../../support/raft/sim-cluster.ts";
import { linkOf } from "../../support/raft/sim-network.ts";
import { ELECTION_TICKS, TICK_MS } from "../../support/raft/sim-process.ts";

const TIMEOUT_MS = ELECTION_TICKS * TICK_MS;

async function ledCluster(lease: boolean) {
  const options = { processes: 3, voters: 3, eager: false, mischief: null, traced: false };
  const cluster = new SimCluster({ ...options, random: seededRandom("lease"), lease });
  await cluster.run(500);
  const [leader] = cluster.leaders(1);
  if (leader === undefined) throw new Error("no leader");
  const read = (): { answered: boolean } => {
    const result = { answered: false };
    leader.group.read(
      () => (result.answered = true),
      () => {},
    );
    return result;
  };
  const cutOff = (): void => {
    for (const { id } of cluster.processes)
      cluster.network.cut.add(linkOf(id, leader.process.id)).add(linkOf(leader.process.id, id));
  };
  return { cluster, ...leader, read, cutOff };
}

describe("a leader with a lease", () => {
  it("that lost its majority answers reads until the lease is over, and none after", async () => {
    const { cluster, process, group, read, cutOff } = await ledCluster(true);
    cutOff();
    const first = read();
    await cluster.run(cluster.world.now + 5);
    expect(first.answered).toBe(true);
    const left = group.node.leaseUntil - process.monotonic();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(0.9 * TIMEOUT_MS);
    await cluster.run(cluster.world.now + left + 10);
    const second = read();
    await cluster.run(cluster.world.now + TIMEOUT_MS);
    expect(second.answered).toBe(false);
  });

  it("has lost it when it was stopped for as long, although it counted no ticks", async () => {
    const { cluster, process, read, cutOff } = await ledCluster(true);
    cutOff();
    process.stopFor(TIMEOUT_MS);
    await cluster.run(cluster.world.now + TIMEOUT_MS + 1);
    const late = read();
    await cluster.run(cluster.world.now + 20);
    expect(late.answered).toBe(false);
  });

  it("gives it up when it offers leadership to somebody", async () => {
    const { cluster, process, group } = await ledCluster(true);
    const to = process.id === 1 ? 2 : 1;
    group.node.transferLeader(to);
    process.wake(1);
    // What the target sends from now on does not arrive: the leader thinks that it still leads.
    await cluster.run(cluster.world.now + 12);
    cluster.network.cut.add(linkOf(to, process.id));
    expect(group.node.leaseUntil).toBe(-Infinity);
  });
});

describe("a leader without a lease", () => {
  it("that lost its majority answers no read", async () => {
    const { cluster, read, cutOff } = await ledCluster(false);
    cutOff();
    const first = read();
    await cluster.run(cluster.world.now + TIMEOUT_MS);
    expect(first.answered).toBe(false);
  });
});

describe("a member that starts again", () => {
  const asked = (type: "pre-vote" | "vote", term: number): RaftMessage => ({
    type,
    from: 2,
    to: 1,
    term,
    index: 5,
    logTerm: 5,
    commit: 0,
    reject: false,
    hint: 0,
    entries: [],
    snapshot: null,
  });

  it("helps nobody to lead for as long as it may have promised, unless its group has only begun", () => {
    let now = 1_000;
    const member = (term: number): RaftNode =>
      new RaftNode({
        id: 1,
        restored: { ...newGroup({ voters: [1, 2, 3], learners: [] }), hardState: { term, vote: 0, commit: 5 } },
        random: seededRandom(1),
        electionTicks: 10,
        heartbeatTicks: 2,
        lease: { monotonic: () => now, leaseMs: 900, promiseMs: 1_000 },
        takeSnapshot: () => Buffer.alloc(0),
      });
    const answers = (node: RaftNode, message: RaftMessage): readonly RaftMessage[] => {
      node.step(message);
      return node.hasReady() ? node.ready().messages : [];
    };
    const old = member(7);
    expect(answers(old, asked("pre-vote", 8))).toEqual([]);
    expect(answers(old, asked("vote", 8))).toEqual([]);
    now += 1_001;
    expect(answers(old, asked("pre-vote", 8))).toMatchObject([{ type: "pre-vote-reply", reject: false }]);
    expect(answers(member(5), asked("vote", 6))).toMatchObject([{ type: "vote-reply", reject: false }]);
  });
});
