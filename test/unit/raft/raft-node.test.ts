import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../harness/base/random.ts";
import {
  decodeConfChange,
  decodeMessage,
  encodeConfChange,
  encodeMessage,
  newGroup,
  RaftNode,
  type RaftMessage,
} from "../../../subjects/common/raft/index.ts";
import { RaftCluster } from "../../support/raft-cluster.ts";

/** Three members that have a leader and have settled. */
function settled(ids: readonly number[] = [1, 2, 3], voters = ids): RaftCluster {
  const cluster = new RaftCluster(ids, seededRandom("unit"), voters);
  cluster.settle(30);
  return cluster;
}

function leaderOf(cluster: RaftCluster): number {
  const { leader } = cluster;
  if (leader === null) throw new Error("no leader");
  return leader.id;
}

const nobody = Buffer.alloc(0);

describe("a group of three", () => {
  it("acknowledges what a majority has on disk, and not before", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    const value = cluster.propose(leader);
    while (cluster.network.length > 0) cluster.deliver(0);
    expect(cluster.acknowledged).not.toContain(value);
    cluster.sync(leader);
    while (cluster.network.length > 0) cluster.deliver(0);
    expect(cluster.acknowledged).not.toContain(value);
    cluster.settle(3);
    expect(cluster.acknowledged).toContain(value);
  });

  it("elects another leader when the leader is gone, and goes on", () => {
    const cluster = settled();
    const first = leaderOf(cluster);
    cluster.crash(first);
    cluster.settle(40);
    expect(leaderOf(cluster)).not.toBe(first);
    const value = cluster.propose(leaderOf(cluster));
    cluster.settle(3);
    expect(cluster.acknowledged).toContain(value);
  });

  it("keeps its leader and its term when a member comes back from a partition (pre-vote)", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    const away = [1, 2, 3].find((id) => id !== leader) ?? 0;
    const term = cluster.machine(leader).node?.hardState.term;
    cluster.cut.add(away);
    cluster.settle(80);
    cluster.cut.delete(away);
    cluster.settle(20);
    expect(leaderOf(cluster)).toBe(leader);
    expect(cluster.machine(leader).node?.hardState.term).toBe(term);
  });

  it("has no leader for long without a majority, and answers no read meanwhile", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    for (const id of [1, 2, 3]) if (id !== leader) cluster.cut.add(id);
    cluster.read(leader);
    cluster.settle(25);
    expect(cluster.machine(leader).node?.isLeader).toBe(false);
    expect(cluster.readsAnswered).toBe(0);
  });

  it("hands leadership over at once, also to a member that lacks entries", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    const to = [1, 2, 3].find((id) => id !== leader) ?? 0;
    cluster.propose(leader);
    cluster.transfer(leader, to);
    for (let turn = 0; turn < 5; turn++) {
      for (const id of [1, 2, 3]) cluster.sync(id);
      for (let left = cluster.network.length; left > 0; left--) cluster.deliver(0);
    }
    expect(leaderOf(cluster)).toBe(to);
  });

  it("goes on writing while leadership is offered to a dead member, and stays the leader", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    const dead = [1, 2, 3].find((id) => id !== leader) ?? 0;
    cluster.cut.add(dead);
    cluster.settle(1);
    cluster.transfer(leader, dead);
    cluster.propose(leader);
    cluster.settle(3);
    expect(cluster.machine(leader).values).toHaveLength(1);
    expect(leaderOf(cluster)).toBe(leader);
  });

  it("brings a member that is behind the compacted log up with a snapshot", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    const away = [1, 2, 3].find((id) => id !== leader) ?? 0;
    cluster.cut.add(away);
    for (let count = 0; count < 20; count++) cluster.propose(leader);
    cluster.settle(5);
    cluster.compact(leader, 0);
    cluster.cut.delete(away);
    cluster.settle(10);
    expect(cluster.machine(away).values).toEqual(cluster.machine(leader).values);
    expect(cluster.machine(away).values).toHaveLength(20);
  });

  it("answers a read only after the leader has proved that it still leads", () => {
    const cluster = settled();
    const leader = leaderOf(cluster);
    cluster.read(leader);
    expect(cluster.readsAnswered).toBe(0);
    cluster.settle(1);
    expect(cluster.readsAnswered).toBe(1);
  });
});

describe("a leader with entries of an earlier term", () => {
  it("commits them with one of its own, never by counting them (Raft paper, 5.4.2)", () => {
    const base = newGroup({ voters: [1, 2, 3], learners: [] });
    const old = { index: 6, term: 6, kind: "normal" as const, data: Buffer.from("old") };
    const node = new RaftNode({
      id: 1,
      restored: { ...base, hardState: { term: 7, vote: 0, commit: 5 }, entries: [old] },
      random: seededRandom(1),
      electionTicks: 10,
      heartbeatTicks: 2,
      takeSnapshot: () => Buffer.alloc(0),
    });
    const sync = (): void => {
      while (node.hasReady()) node.persisted(node.ready());
    };
    const reply = (type: RaftMessage["type"], index: number): void => {
      const rest = { logTerm: 0, commit: 0, reject: false, hint: 0, entries: [], snapshot: null };
      node.step({ type, from: 2, to: 1, term: 8, index, ...rest });
      sync();
    };
    node.campaign();
    sync();
    reply("pre-vote-reply", 0);
    reply("vote-reply", 0);
    expect(node.isLeader).toBe(true);
    reply("append-reply", 6);
    expect(node.commitIndex).toBe(5);
    reply("append-reply", 7);
    expect(node.commitIndex).toBe(7);
  });
});

describe("membership", () => {
  it("adds a learner that gets everything and counts for nothing, then makes it a voter", () => {
    const cluster = settled([1, 2, 3, 4], [1, 2, 3]);
    const leader = leaderOf(cluster);
    cluster.change(leader, { steps: [{ type: "add-learner", id: 4 }], transition: "auto", context: nobody });
    const value = cluster.propose(leader);
    cluster.settle(5);
    expect(cluster.machine(4).values).toContain(value);
    expect(cluster.machine(leader).node?.conf).toMatchObject({ voters: [1, 2, 3], learners: [4] });
    cluster.change(leader, { steps: [{ type: "add-voter", id: 4 }], transition: "auto", context: nobody });
    cluster.settle(5);
    expect(cluster.machine(4).node?.conf).toMatchObject({ voters: [1, 2, 3, 4], learners: [] });
  });

  it("takes one change at a time", () => {
    const cluster = settled([1, 2, 3, 4], [1, 2, 3]);
    const leader = leaderOf(cluster);
    const away = [1, 2, 3].find((id) => id !== leader) ?? 0;
    expect(cluster.change(leader, { steps: [{ type: "remove", id: away }], transition: "auto", context: nobody })).toBe(
      true,
    );
    expect(cluster.change(leader, { steps: [{ type: "add-voter", id: 4 }], transition: "auto", context: nobody })).toBe(
      false,
    );
    cluster.settle(5);
    expect(cluster.change(leader, { steps: [{ type: "add-voter", id: 4 }], transition: "auto", context: nobody })).toBe(
      true,
    );
  });

  it("survives a restart of all: nobody acts under an older configuration", () => {
    const cluster = settled([1, 2, 3], [1]);
    for (const id of [2, 3]) {
      cluster.change(1, { steps: [{ type: "add-voter", id }], transition: "auto", context: nobody });
      cluster.settle(5);
    }
    for (const id of [1, 2, 3]) cluster.crash(id);
    cluster.start(1);
    for (let tick = 0; tick < 100; tick++) {
      cluster.tick(1);
      cluster.sync(1);
    }
    expect(cluster.machine(1).node?.isLeader).toBe(false);
    expect(cluster.machine(1).node?.conf.voters).toEqual([1, 2, 3]);
  });
});

describe("messages as bytes", () => {
  it("come back as they were", () => {
    const message = {
      type: "append" as const,
      from: 7,
      to: 8,
      term: 2 ** 40,
      index: 5,
      logTerm: 4,
      commit: 3,
      reject: true,
      hint: 9,
      entries: [
        { index: 6, term: 5, kind: "normal" as const, data: Buffer.from("x") },
        { index: 7, term: 5, kind: "conf" as const, data: Buffer.alloc(0) },
      ],
      snapshot: {
        index: 1,
        term: 1,
        conf: { voters: [7, 8], learners: [9], votersOutgoing: [8, 10], learnersNext: [10], autoLeave: true },
        data: Buffer.from("state"),
      },
    };
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
    const change = {
      steps: [{ type: "add-learner" as const, id: 4 }],
      transition: "explicit" as const,
      context: Buffer.from("why"),
    };
    expect(decodeConfChange(encodeConfChange(change))).toEqual(change);
  });

  it("are refused when cut short", () => {
    const bytes = encodeConfChange({
      steps: [{ type: "remove", id: 4 }],
      transition: "auto",
      context: Buffer.from("why"),
    });
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeConfChange(bytes.subarray(0, length))).toThrow(RangeError);
  });
});
