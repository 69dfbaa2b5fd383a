import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Membership } from "../../../subjects/common/raft/index.ts";
import {
  changePeers,
  confChange,
  readPeerChanges,
  refusedChange,
  type PeerChange,
} from "../../../subjects/tikv/stand-in/tikv/change-peers.ts";
import { isJoint, type Peer, type Region } from "../../../subjects/tikv/stand-in/tikv/region.ts";

const peer = (storeId: number, role: Peer["role"] = "voter", id = storeId * 10): Peer => ({ id, storeId, role });

const region: Region = {
  id: 2,
  startKey: "",
  endKey: "",
  epoch: { confVer: 5, version: 3 },
  peers: [peer(1), peer(2), peer(3), peer(4, "learner")],
};

const add = (storeId: number): PeerChange => ({ type: "add-voter", peer: peer(storeId) });
const demote = (storeId: number): PeerChange => ({ type: "add-learner", peer: peer(storeId, "learner") });
const remove = (storeId: number, role: Peer["role"] = "voter"): PeerChange => ({
  type: "remove",
  peer: peer(storeId, role),
});

function after(from: Region, changes: readonly PeerChange[]): Region {
  const changed = changePeers(from, changes);
  if ("refused" in changed) throw new Error(changed.refused);
  return changed.region;
}

const roles = ({ peers }: Region) => Object.fromEntries(peers.map(({ storeId, role }) => [storeId, role]));

describe("a change of peers", () => {
  it("alone takes effect at once, and counts one", () => {
    expect(roles(after(region, [add(5)]))[5]).toBe("voter");
    expect(roles(after(region, [add(4)]))[4]).toBe("voter");
    expect(roles(after(region, [demote(5)]))[5]).toBe("learner");
    expect(roles(after(region, [remove(3)]))[3]).toBeUndefined();
    expect(after(region, [remove(3)]).epoch).toEqual({ confVer: 6, version: 3 });
  });

  it("of several is joint until it is left; the epoch counts every peer that moves, both times", () => {
    const joint = after(region, [add(4), demote(1), add(5)]);
    expect(roles(joint)).toEqual({
      1: "demoting-voter",
      2: "voter",
      3: "voter",
      4: "incoming-voter",
      5: "incoming-voter",
    });
    expect(joint.epoch.confVer).toBe(8);
    const left = after(joint, []);
    expect(roles(left)).toEqual({ 1: "learner", 2: "voter", 3: "voter", 4: "voter", 5: "voter" });
    expect(left.epoch.confVer).toBe(11);
  });

  it.each([
    ["what is there already", [add(1)], /can't add duplicated peer/],
    ["another peer on a store that has one", [{ ...add(1), peer: peer(1, "voter", 99) }], /can't add duplicated peer/],
    ["the removal of nobody", [remove(9)], /remove missing peer/],
    ["the removal of another peer", [{ ...remove(1), peer: peer(1, "voter", 99) }], /remove unmatched peer/],
    ["the removal of a voter by joint consensus", [remove(3), add(4)], /can not remove voter/],
    ["the leaving of what is not joint", [], /can't leave a non-joint config/],
  ])("is not %s", (_name, changes, why) => {
    expect(() => after(region, changes)).toThrow(why);
    expect(refusedChange(region, changes, 20)).not.toBeNull();
  });

  it.each([
    ["remove itself", [remove(1)], /ignore remove leader or demote leader/],
    ["demote itself at once", [demote(1)], /ignore remove leader or demote leader/],
    ["do two things to one peer", [demote(2), remove(2, "learner")], /multiple commands for the same peer/],
    ["change learners alone by joint consensus", [demote(5), remove(4, "learner")], /only effect learner/],
    [
      "promote a learner as a learner",
      [{ type: "add-voter", peer: peer(4, "learner") }],
      /invalid conf change request/,
    ],
  ] as const)("is not proposed by a leader that would %s", (_name, changes, why) => {
    expect(refusedChange(region, changes, 10)).toMatch(why);
  });

  it("may demote the leader by joint consensus, which it then does not leave itself", () => {
    expect(refusedChange(region, [add(4), demote(1)], 10)).toBeNull();
    const joint = after(region, [add(4), demote(1)]);
    expect(refusedChange(joint, [], 10)).toMatch(/demoting leader/);
    expect(refusedChange(joint, [], 20)).toBeNull();
    expect(refusedChange(joint, [add(5)], 20)).toMatch(/still in joint state/);
  });

  it("says the same to Raft as to the region, whatever is changed", () => {
    const change = fc.record({
      type: fc.constantFrom("add-voter" as const, "add-learner" as const, "remove" as const),
      storeId: fc.integer({ min: 1, max: 6 }),
    });
    const several = fc.array(fc.uniqueArray(change, { maxLength: 3, selector: ({ storeId }) => storeId }), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(several, (list) => {
        let now = region;
        let raft = new Membership({
          voters: [10, 20, 30],
          learners: [40],
          votersOutgoing: [],
          learnersNext: [],
          autoLeave: false,
        });
        for (const asked of list) {
          const changes = asked.map(({ type, storeId }): PeerChange => ({
            type,
            peer: peer(storeId, type === "add-learner" ? "learner" : roleOf(now, storeId, type)),
          }));
          if (refusedChange(now, changes, 10) !== null) continue;
          const proposed = confChange(now.epoch, changes);
          expect(readPeerChanges(proposed.context)).toEqual({ confVer: now.epoch.confVer, changes });
          now = after(now, changes);
          raft = raft.changed(proposed);
          const idsOf = (...wanted: Peer["role"][]) =>
            now.peers.filter(({ role }) => wanted.includes(role)).map(({ id }) => id);
          expect(new Set(raft.state.voters)).toEqual(new Set(idsOf("voter", "incoming-voter")));
          expect(new Set(raft.state.learners)).toEqual(new Set(idsOf("learner")));
          expect(new Set(raft.state.votersOutgoing)).toEqual(
            new Set(isJoint(now) ? idsOf("voter", "demoting-voter") : []),
          );
        }
      }),
    );
  });
});

function roleOf(now: Region, storeId: number, type: "add-voter" | "remove"): Peer["role"] {
  const present = now.peers.find((one) => one.storeId === storeId);
  return type === "remove" && present !== undefined ? present.role : "voter";
}
