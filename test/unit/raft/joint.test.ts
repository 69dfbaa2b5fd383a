import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../harness/base/random.ts";
import {
  decodeMessage,
  encodeMessage,
  Membership,
  newGroup,
  type ConfChange,
  type ConfChangeStep,
} from "../../../subjects/common/raft/index.ts";
import { simpleConf } from "../../../subjects/common/raft/new-group.ts";
import { RaftCluster } from "../../support/raft-cluster.ts";

const change = (transition: ConfChange["transition"], ...steps: (readonly [ConfChangeStep["type"], number])[]) => ({
  steps: steps.map(([type, id]) => ({ type, id })),
  transition,
  context: Buffer.alloc(0),
});
const leave = change("auto");

/** Voters 1, 2, 3 and a leader; 4, 5, 6 stand by without anything. */
function settled(): { readonly cluster: RaftCluster; readonly leader: number } {
  const cluster = new RaftCluster([1, 2, 3, 4, 5, 6], seededRandom("joint"), [1, 2, 3]);
  cluster.settle(30);
  return { cluster, leader: cluster.leader?.id ?? 0 };
}

const replaceAll = (transition: ConfChange["transition"]) =>
  change(
    transition,
    ...[4, 5, 6].map((id) => ["add-voter", id] as const),
    ...[1, 2, 3].map((id) => ["remove", id] as const),
  );

describe("a joint configuration", () => {
  it("commits only what a majority of each side has", () => {
    const { cluster, leader } = settled();
    expect(cluster.change(leader, replaceAll("explicit"))).toBe(true);
    cluster.settle(5);
    expect(cluster.machine(leader).node?.conf).toMatchObject({ voters: [4, 5, 6], votersOutgoing: [1, 2, 3] });
    for (const side of [[4, 5], [1, 2, 3].filter((id) => id !== leader)]) {
      for (const id of side) cluster.cut.add(id);
      const value = cluster.propose(leader);
      cluster.settle(3);
      expect(cluster.acknowledged).not.toContain(value);
      for (const id of side) cluster.cut.delete(id);
      cluster.settle(5);
      expect(cluster.acknowledged).toContain(value);
    }
  });

  it("answers reads, and keeps its leader, only with a majority of each side", () => {
    const { cluster, leader } = settled();
    cluster.change(leader, replaceAll("explicit"));
    cluster.settle(5);
    for (const id of [5, 6]) cluster.cut.add(id);
    cluster.read(leader);
    cluster.settle(3);
    expect(cluster.readsAnswered).toBe(0);
    cluster.settle(25);
    expect(cluster.machine(leader).node?.isLeader).toBe(false);
    // Nobody else is elected either, by whichever side alone.
    cluster.settle(60);
    expect(cluster.leader).toBeNull();
    for (const id of [5, 6]) cluster.cut.delete(id);
    cluster.settle(60);
    expect(cluster.leader).not.toBeNull();
  });

  it("stays until it is left, then an old leader hands over to the new members", () => {
    const { cluster, leader } = settled();
    cluster.change(leader, replaceAll("explicit"));
    cluster.settle(30);
    expect(cluster.change(leader, change("auto", ["add-learner", 1]))).toBe(false);
    expect(cluster.change(leader, leave)).toBe(true);
    cluster.settle(60);
    expect([4, 5, 6]).toContain(cluster.leader?.id);
    expect(cluster.leader?.node?.conf).toEqual(simpleConf({ voters: [4, 5, 6], learners: [] }));
    cluster.propose(cluster.leader?.id ?? 0);
    cluster.settle(3);
    cluster.checkConverged();
  });

  it("is left by the leader itself when nobody asked to stay, also by the next leader", () => {
    const { cluster, leader } = settled();
    cluster.change(leader, change("auto", ["add-voter", 4], ["remove", leader === 1 ? 2 : 1]));
    cluster.settle(10);
    expect(cluster.leader?.node?.conf.votersOutgoing).toEqual([]);
    expect(cluster.leader?.node?.conf.voters).toContain(4);
    cluster.change(leader, change("implicit", ["add-learner", 5]));
    // It dies as soon as it has sent the change.
    for (let left = cluster.network.length; left > 0; left--) cluster.deliver(0);
    cluster.sync(leader);
    cluster.crash(leader);
    cluster.settle(80);
    expect(cluster.leader?.node?.conf.votersOutgoing).toEqual([]);
  });

  it("is no trap when only a leader that left, and knows more than it may, has heard that it is over", () => {
    const cluster = new RaftCluster([1, 2], seededRandom("trap"));
    cluster.settle(30);
    const leader = cluster.leader?.id ?? 0;
    const other = 3 - leader;
    cluster.change(leader, change("auto", ["remove", leader]));
    cluster.sync(leader);
    for (let left = cluster.network.length; left > 0; left--) cluster.deliver(0);
    cluster.sync(other);
    // One entry more in the leader's log, that nobody else ever gets, nor that the change is committed.
    const acknowledgements = cluster.network.splice(0);
    cluster.propose(leader);
    cluster.network.splice(0, cluster.network.length, ...acknowledgements);
    for (let left = cluster.network.length; left > 0; left--) cluster.deliver(0);
    cluster.cut.add(other);
    for (let turn = 0; turn < 3; turn++) cluster.sync(leader);
    cluster.network.length = 0;
    expect(cluster.machine(leader).node?.conf.voters).toEqual([other]);
    expect(cluster.machine(other).node?.conf.voters).toHaveLength(2);
    cluster.cut.delete(other);
    cluster.settle(60);
    expect(cluster.leader?.id).toBe(other);
  });

  it("demotes a voter by way of the members that will be learners", () => {
    const { cluster, leader } = settled();
    const down = leader === 3 ? 2 : 3;
    cluster.change(leader, change("explicit", ["add-learner", down], ["add-voter", 4]));
    cluster.settle(5);
    expect(cluster.machine(leader).node?.conf).toMatchObject({ learners: [], learnersNext: [down] });
    cluster.change(leader, leave);
    cluster.settle(5);
    expect(cluster.machine(down).node?.conf).toMatchObject({ learners: [down], learnersNext: [], votersOutgoing: [] });
  });

  it("is not there to be left when there is none, and no change removes all voters", () => {
    const { cluster, leader } = settled();
    expect(cluster.change(leader, leave)).toBe(false);
    const nobody = change("auto", ...[1, 2, 3].map((id) => ["remove", id] as const));
    expect(() => cluster.change(leader, nobody)).toThrow(RangeError);
    expect(() => new Membership(simpleConf({ voters: [1], learners: [] })).changed(leave)).toThrow(RangeError);
  });
});

describe("a group made by a split", () => {
  it("keeps the vote of a member that was there before it", () => {
    const members = { voters: [1, 2, 3], learners: [] };
    expect(newGroup(members).hardState).toEqual({ term: 5, vote: 0, commit: 5 });
    expect(newGroup(members, Buffer.alloc(0), { term: 6, vote: 2, commit: 0 }).hardState).toEqual({
      term: 6,
      vote: 2,
      commit: 5,
    });
  });
});

describe("a message with a joint configuration", () => {
  it("comes back as it was", () => {
    const conf = { voters: [1, 4], learners: [5], votersOutgoing: [1, 2], learnersNext: [2], autoLeave: true };
    const snapshot = { index: 9, term: 7, conf, data: Buffer.from("x") };
    const message = { from: 1, to: 4, term: 7, index: 9, logTerm: 0, commit: 0, reject: false, hint: 0, entries: [] };
    const sent = { ...message, type: "snapshot" as const, snapshot };
    expect(decodeMessage(encodeMessage(sent))).toEqual(sent);
  });
});
