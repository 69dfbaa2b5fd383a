import { describe, expect, it } from "vitest";
import type { RegionPeer } from "../../../subjects/tikv/stand-in/tikv/region-peer.ts";
import { refusedMerge } from "../../../subjects/tikv/stand-in/tikv/region-merge.ts";
import type { RecoveryPlanMessage } from "../../../subjects/tikv/stand-in/tikv/pd-messages.ts";
import { toPeerMessage, toRegionMessage } from "../../../subjects/tikv/stand-in/tikv/region.ts";
import { StoreRecovery } from "../../../subjects/tikv/stand-in/tikv/store-recovery.ts";
import { StoreCluster } from "../../support/store-cluster.ts";

const STORES = [1, 2, 3];

const put = (peer: RegionPeer, key: string, value = key) =>
  peer.write([{ kind: "put", key, value: Buffer.from(value) }], peer.region?.epoch.version ?? 0, false);

const valueOf = (peer: RegionPeer, key: string) => peer.state?.values.of("default").get(key)?.toString();

/** Region 1 from "m" on and region 2 before it, both on three stores, led from store 1. */
async function twoRegions() {
  const cluster = new StoreCluster(STORES);
  await cluster.begin(STORES);
  const whole = cluster.leader(1);
  for (const key of ["a", "z"]) await done(cluster, put(whole, key));
  await done(cluster, whole.split(whole.region?.epoch ?? NO_EPOCH, ["m"], [{ regionId: 2, peerIds: [201, 202, 203] }]));
  await cluster.until(() => cluster.peers(2).length === 3 && cluster.peers(2).some((peer) => peer.isLeader));
  await cluster.lead(1, 2);
  return cluster;
}

const NO_EPOCH = { confVer: 0, version: 0 };

async function done<T>(cluster: StoreCluster, promise: Promise<T>): Promise<T> {
  let result: { readonly value: T } | null = null;
  void promise.then((value) => (result = { value }));
  await cluster.until(() => result !== null);
  return (result as unknown as { value: T }).value;
}

function beginMerge(cluster: StoreCluster): void {
  const source = cluster.leader(2);
  const target = cluster.leader(1).region;
  const { region } = source;
  if (region === null || target === null) throw new Error("a region without its range");
  const store = cluster.store(source.self?.storeId ?? 0);
  expect(refusedMerge(source, target, store)).toBeNull();
  source.merge(() => ({ kind: "prepare-merge", epoch: region.epoch, target }));
}

describe("a merge", () => {
  it("is committed where the target leads, and freezes the source until then", async () => {
    const cluster = await twoRegions();
    await cluster.lead(2, 1);
    const source = cluster.leader(2);
    beginMerge(cluster);
    await cluster.settle();
    expect(source.state?.mergingInto?.id).toBe(1);
    expect(await put(source, "b")).toMatchObject({ ok: false, error: { proposal_in_merging_mode: {} } });
    expect(await source.readBarrier()).toMatchObject({ read_index_not_ready: { region_id: "2" } });
    await cluster.until(() => cluster.peers(2).length === 0);
    const target = cluster.leader(1);
    expect(target.region).toMatchObject({ startKey: "", endKey: "" });
    for (const peer of cluster.peers(1)) expect([valueOf(peer, "a"), valueOf(peer, "z")]).toEqual(["a", "z"]);
  });

  it("is taken back when the target has changed meanwhile, and the source goes on under a new version", async () => {
    const cluster = await twoRegions();
    await cluster.lead(2, 1);
    const target = cluster.leader(1);
    const before = cluster.leader(2).region?.epoch ?? NO_EPOCH;
    // The target loses a replica in the same moment: its epoch moves on before anybody can commit.
    const lost = target.region?.peers.find(({ storeId }) => storeId === 3);
    if (lost === undefined) throw new Error("no third replica");
    beginMerge(cluster);
    expect(target.changePeers([{ type: "remove", peer: lost }])).toBeNull();
    await cluster.until(() => cluster.peers(2).every((peer) => peer.state?.mergingInto === null));
    const source = cluster.leader(2);
    expect(source.region?.epoch).toEqual({ confVer: before.confVer + 1, version: before.version + 2 });
    expect(await done(cluster, put(source, "b", "again"))).toMatchObject({ ok: true });
    expect(valueOf(source, "a")).toBe("a");
    expect(cluster.leader(1).region).toMatchObject({ startKey: "m" });
  });

  it("reaches a store that slept through it, by the log or by a snapshot, and its stale replica goes", async () => {
    for (const rounds of [1, 4]) {
      const cluster = await twoRegions();
      cluster.cut.add(3);
      await cluster.settle();
      beginMerge(cluster);
      await cluster.until(() => cluster.peers(2).length === 1);
      const target = cluster.leader(1);
      for (let round = 0; round < rounds; round++) {
        const writes = Array.from({ length: 2_000 }, (_, at) => put(target, `k${at % 7}`, `${round}/${at}`));
        await done(cluster, Promise.all(writes));
      }
      // Four rounds are more than a leader keeps for a member that is behind.
      expect(target.node.firstIndex > 100).toBe(rounds === 4);
      cluster.cut.delete(3);
      await cluster.until(
        () => cluster.peers(2).length === 0 && valueOf(asleep(cluster), "k0") === valueOf(target, "k0"),
      );
      expect(asleep(cluster).region).toEqual(target.region);
      expect(valueOf(asleep(cluster), "a")).toBe("a");
    }
  });

  it("is proposed once, however long its target has no majority", async () => {
    const cluster = await twoRegions();
    beginMerge(cluster);
    await cluster.settle();
    const target = cluster.leader(1);
    for (const id of [2, 3]) cluster.cut.add(id);
    await cluster.tick();
    const length = target.node.lastIndex;
    await cluster.tick(6);
    expect(target.isLeader).toBe(true);
    expect(target.node.lastIndex).toBe(length);
    cluster.cut.clear();
    await cluster.until(() => cluster.peers(2).length === 0);
  });

  it("is not taken for undone by a frozen replica that hears of the target only after it was split again", async () => {
    const cluster = await twoRegions();
    await cluster.lead(2, 1);
    beginMerge(cluster);
    await cluster.settle();
    // Store 3 has frozen the source, and hears nothing of how it goes on.
    expect(cluster.peer(3, 2)?.state?.mergingInto?.id).toBe(1);
    cluster.cut.add(3);
    await cluster.until(() => cluster.peers(2).length === 1);
    const target = cluster.leader(1);
    await done(
      cluster,
      target.split(target.region?.epoch ?? NO_EPOCH, ["m"], [{ regionId: 5, peerIds: [501, 502, 503] }]),
    );
    for (let round = 0; round < 4; round++) {
      const writes = Array.from({ length: 2_000 }, (_, at) => put(target, `z${at % 7}`, `${round}/${at}`));
      await done(cluster, Promise.all(writes));
    }
    expect(target.node.firstIndex).toBeGreaterThan(100);
    cluster.cut.delete(3);
    await cluster.until(() => cluster.peer(3, 2) === undefined && cluster.peer(3, 5)?.initialized === true);
    expect(valueOf(asleep(cluster), "z")).toBe("z");
    const after = cluster.peer(3, 5);
    expect(after === undefined ? null : valueOf(after, "a")).toBe("a");
  });

  it("is the same after every store has been started again", async () => {
    const cluster = await twoRegions();
    beginMerge(cluster);
    await cluster.until(() => cluster.peers(2).length === 0);
    await done(cluster, put(cluster.leader(1), "b", "after"));
    for (const id of STORES) await cluster.stop(id);
    for (const id of STORES) cluster.start(id);
    await cluster.until(() => cluster.peers(1).some((peer) => peer.node.leadsFirmly));
    expect(cluster.peers(2)).toEqual([]);
    const leader = cluster.leader(1);
    expect(["a", "b", "z"].map((key) => valueOf(leader, key))).toEqual(["a", "after", "z"]);
  });
});

function asleep(cluster: StoreCluster): RegionPeer {
  const peer = cluster.peer(3, 1);
  if (peer === undefined) throw new Error("store 3 lost its replica");
  return peer;
}

describe("joint consensus", () => {
  it("stays until it is left, and a store that comes back in the middle of it is still joint", async () => {
    const cluster = new StoreCluster([1, 2, 3, 4]);
    await cluster.begin(STORES);
    const leader = cluster.leader(1);
    const learner = { id: 104, storeId: 4, role: "learner" as const };
    leader.changePeers([{ type: "add-learner", peer: learner }]);
    await cluster.until(() => cluster.peer(4, 1)?.initialized === true);
    const old = leader.region?.peers.find(({ storeId }) => storeId === 3);
    if (old === undefined) throw new Error("no replica on store 3");
    const swap = [
      { type: "add-voter" as const, peer: { ...learner, role: "voter" as const } },
      { type: "add-learner" as const, peer: { ...old, role: "learner" as const } },
    ];
    expect(leader.changePeers(swap)).toBeNull();
    await cluster.until(() => leader.node.conf.votersOutgoing.length === 3);
    await cluster.tick(5);
    expect(leader.region?.peers.map(({ role }) => role).sort()).toEqual([
      "demoting-voter",
      "incoming-voter",
      "voter",
      "voter",
    ]);
    expect(await leader.split(leader.region?.epoch ?? NO_EPOCH, ["m"], [])).toMatchObject({ ok: false });
    await cluster.stop(2);
    cluster.start(2);
    await cluster.until(() => cluster.peer(2, 1)?.node.conf.votersOutgoing.length === 3);
    expect(leader.changePeers([])).toBeNull();
    await cluster.until(() => cluster.peer(2, 1)?.node.conf.votersOutgoing.length === 0);
    expect(leader.region?.peers.find(({ storeId }) => storeId === 3)?.role).toBe("learner");
    expect(await done(cluster, put(leader, "k"))).toMatchObject({ ok: true });
  });
});

describe("reads", () => {
  it("a follower answers once it has applied what its leader had committed", async () => {
    const cluster = new StoreCluster(STORES);
    await cluster.begin(STORES);
    const follower = cluster.peer(3, 1);
    if (follower === undefined) throw new Error("no follower");
    await done(cluster, put(cluster.leader(1), "k", "new"));
    expect(await done(cluster, follower.readBarrier())).toBeNull();
    expect(valueOf(follower, "k")).toBe("new");
  });

  it("asked of the leader again when the question was lost, and refused when there is no leader", async () => {
    const cluster = new StoreCluster(STORES);
    await cluster.begin(STORES);
    const follower = cluster.peer(3, 1);
    if (follower === undefined) throw new Error("no follower");
    let lost = 0;
    cluster.dropped = ({ body }) => body.kind === "read-index" && lost++ === 0;
    expect(await done(cluster, follower.readBarrier())).toBeNull();
    expect(lost).toBeGreaterThan(1);
    cluster.cut.add(3);
    await cluster.until(() => follower.leaderPeer === undefined);
    expect(await follower.readBarrier()).toMatchObject({ not_leader: { leader: null } });
  });

  it("a leader without a majority answers by its lease for less than 9 s, and writes nothing", async () => {
    const cluster = new StoreCluster(STORES);
    await cluster.begin(STORES);
    await cluster.tick(3);
    const leader = cluster.leader(1);
    for (const id of STORES) if (id !== leader.self?.storeId) cluster.cut.add(id);
    const write = put(leader, "k");
    const answered: boolean[] = [];
    for (let second = 0; second < 12; second++) {
      let answer: unknown = "waits";
      void leader.readBarrier().then((error) => (answer = error));
      await cluster.tick();
      answered.push(answer === null);
    }
    expect(answered[0]).toBe(true);
    expect(answered.lastIndexOf(true)).toBeLessThan(9);
    expect(answered.lastIndexOf(true)).toBeGreaterThan(3);
    expect(answered.at(-1)).toBe(false);
    await cluster.tick(15);
    expect(await write).toMatchObject({ ok: false, error: { stale_command: {} } });
  });
});

describe("recovery of what lost its majority for good", () => {
  it("leads by force, demotes who is gone, and then writes again; until then it refuses", async () => {
    const cluster = new StoreCluster(STORES);
    await cluster.begin(STORES);
    await cluster.lead(1, 1);
    await done(cluster, put(cluster.leader(1), "k", "kept"));
    for (const id of [1, 2]) await cluster.stop(id);
    await cluster.tick(25);
    const survivor = cluster.peer(3, 1);
    if (survivor?.region == null) throw new Error("no survivor");
    let reports = 0;
    const { clock } = cluster;
    const store = cluster.store(3);
    const recovery = new StoreRecovery({ store, clock, log: store.log, timeFactor: 1, onReport: () => reports++ });
    const carryOut = async (plan: Partial<RecoveryPlanMessage>) => {
      const step = String(reports + 1);
      const whole = { creates: [], tombstones: [], demotes: [], force_leader: null, ...plan, step };
      void recovery.carryOut(whole, new AbortController().signal);
      await cluster.until(() => String(reports) === step);
      return recovery.takeReport() as { readonly step: string; readonly peer_reports: readonly object[] };
    };

    expect(await carryOut({})).toMatchObject({ step: "1", peer_reports: [{ is_force_leader: false }] });
    const forced = { failed_stores: ["1", "2"], enter_force_leaders: ["1"] };
    expect(await carryOut({ force_leader: forced })).toMatchObject({ peer_reports: [{ is_force_leader: true }] });
    expect(await put(survivor, "k", "early")).toMatchObject({ ok: false, error: { RecoveryInProgress: {} } });
    expect(await survivor.readBarrier()).toMatchObject({ RecoveryInProgress: { region_id: "1" } });
    const gone = survivor.region.peers.filter(({ storeId }) => storeId !== 3).map(toPeerMessage);
    await carryOut({ demotes: [{ region_id: "1", failed_voters: gone }] });
    expect(survivor.region.peers.map(({ storeId, role }) => [storeId, role])).toEqual([
      [1, "learner"],
      [2, "learner"],
      [3, "voter"],
    ]);
    const lost = { ...survivor.region, id: 9, peers: [{ id: 901, storeId: 3, role: "voter" as const }] };
    await carryOut({ creates: [toRegionMessage({ ...lost, startKey: "zz" })] });
    expect(await carryOut({})).toMatchObject({
      peer_reports: [{ is_force_leader: false }, { is_force_leader: false }],
    });
    expect(await done(cluster, put(survivor, "l"))).toMatchObject({ ok: true });
    expect(valueOf(survivor, "k")).toBe("kept");
    expect(recovery.takeReport()).toBeNull();
  });
});

describe("a replica that was removed while it could not hear", () => {
  it("goes when it asks the others, even one that never stands for election", async () => {
    const cluster = new StoreCluster([1, 2, 3, 4]);
    await cluster.begin(STORES);
    const leader = cluster.leader(1);
    const learner = { id: 104, storeId: 4, role: "learner" as const };
    leader.changePeers([{ type: "add-learner", peer: learner }]);
    await cluster.until(() => cluster.peer(4, 1)?.initialized === true);
    cluster.cut.add(4);
    leader.changePeers([{ type: "remove", peer: learner }]);
    await cluster.until(() => leader.region?.peers.length === 3);
    cluster.cut.delete(4);
    await cluster.tick(30);
    const forgotten = cluster.peer(4, 1);
    if (forgotten === undefined) throw new Error("it was told");
    expect(forgotten.leaderlessSinceMs).not.toBeNull();
    cluster.store(4).askWhetherMember(forgotten);
    await cluster.until(() => cluster.peer(4, 1) === undefined);
  });

  it("and one that hears of its removal goes at once", async () => {
    const cluster = new StoreCluster([1, 2, 3, 4]);
    await cluster.begin([1, 2, 3, 4]);
    const leader = cluster.leader(1);
    const third = leader.region?.peers.find(({ storeId, id }) => storeId !== 1 && id !== leader.peerId);
    if (third === undefined) throw new Error("no follower");
    leader.changePeers([{ type: "remove", peer: third }]);
    await cluster.settle();
    await cluster.tick(3);
    expect(cluster.peer(third.storeId, 1)).toBeUndefined();
  });
});

describe("a client that knows a region as it was", () => {
  it("is told what the region was split into since, and no more", async () => {
    const cluster = new StoreCluster(STORES);
    await cluster.begin(STORES);
    const leader = cluster.leader(1);
    const parts = [10, 20, 30].map((regionId) => ({ regionId, peerIds: [regionId + 1, regionId + 2, regionId + 3] }));
    await done(cluster, leader.split(leader.region?.epoch ?? NO_EPOCH, ["f", "m", "t"], parts));
    const store = cluster.store(leader.self?.storeId ?? 0);
    const { region } = leader;
    if (region === null) throw new Error("no region");
    const told = (version: number) => store.around(region, version).map(({ startKey }) => startKey);
    expect(region.epoch.version).toBe(4);
    expect(told(1)).toEqual(["t", "m", "f", ""]);
    expect(told(3)).toEqual(["t", "m"]);
    expect(told(9)).toEqual(["t"]);
  });
});
