import { describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { ScriptedPd, type ReportedRegion } from "../support/scripted-pd.ts";
import { StoreClient } from "../support/store-client.ts";
import { tikvProcesses } from "../support/tikv-processes.ts";

const TIME_FACTOR = 0.1;
const [ADD, REMOVE, ADD_LEARNER] = [0, 1, 2];
const [VOTER, LEARNER, INCOMING, DEMOTING] = [0, 1, 2, 3];

/** Stores that have joined, and the one region of the cluster on the first three of them. */
async function startedCluster(count: number, split: readonly string[] = []) {
  const scope = new AsyncDisposableStack();
  const pd = scope.use(await new ScriptedPd().start());
  const processes = scope.use(await tikvProcesses({ count, pd: pd.endpoint, timeFactor: TIME_FACTOR }));
  const client = scope.use(new StoreClient(pd));
  for (const one of processes.all) one.start();
  await until(() => pd.stores.size === count && pd.regions.size === 1, "all stores to join");
  const cluster = new Cluster(pd, client);
  const first = cluster.at("a");
  if (split.length > 0) {
    pd.ask(Number(first.region.id), { split_region: { policy: 2, keys: split.map((key) => Buffer.from(key)) } });
    await until(() => pd.regions.size === split.length + 1, "the region to be split");
  }
  const stores = [...pd.stores.keys()].filter((id) => String(id) !== first.leader.store_id).slice(0, 2);
  for (const key of ["a", ...split])
    for (const storeId of stores) {
      const peer = await cluster.addLearner(key, storeId);
      await cluster.order(key, { change_peer: { peer: { ...peer, role: VOTER }, change_type: ADD } });
      await until(() => cluster.peerOn(key, storeId)?.role === VOTER, "the learner to be a voter");
    }
  const processOf = (storeId: string) => {
    const found = processes.all.find(({ address }) => address === pd.stores.get(Number(storeId))?.address);
    if (found === undefined) throw new Error(`store ${storeId} has no process`);
    return found;
  };
  return {
    pd,
    client,
    cluster,
    processes: processes.all,
    processOf,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

/** What PD's operators do, step by step. */
class Cluster {
  readonly #pd: ScriptedPd;
  readonly #client: StoreClient;

  constructor(pd: ScriptedPd, client: StoreClient) {
    this.#pd = pd;
    this.#client = client;
  }

  at(key: string): ReportedRegion {
    return this.#client.regionOf(key);
  }

  peerOn(key: string, storeId: number | string) {
    return this.at(key).region.peers.find(({ store_id }) => store_id === String(storeId));
  }

  epoch(key: string): readonly [number, number] {
    const { conf_ver, version } = this.at(key).region.region_epoch;
    return [Number(conf_ver), Number(version)];
  }

  order(key: string, what: object): void {
    this.#pd.ask(Number(this.at(key).region.id), what as never);
  }

  async addLearner(key: string, storeId: number) {
    const peer = { id: String(this.#pd.nextId()), store_id: String(storeId), role: LEARNER };
    this.order(key, { change_peer: { peer, change_type: ADD_LEARNER } });
    const caughtUp = () =>
      this.peerOn(key, storeId) !== undefined && this.at(key).pending_peers.every(({ id }) => id !== peer.id);
    await until(caughtUp, "the learner to have caught up");
    return peer;
  }

  async transfer(key: string, storeId: string): Promise<void> {
    this.order(key, { transfer_leader: { peer: this.peerOn(key, storeId), peers: [] } });
    await until(() => this.at(key).leader.store_id === storeId, "the leader to move");
  }
}

const until = (ask: () => boolean | Promise<boolean>, what: string) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 20_000, everyMs: 20, what });

/** Writes all the time; `stop` gives back what was acknowledged. */
function writer(client: StoreClient, prefix: string) {
  const acknowledged = new Map<string, string>();
  let stopped = false;
  const running = (async () => {
    for (let number = 0; !stopped; number++) {
      const key = `${prefix}-${number % 50}`;
      await client.put(key, String(number));
      acknowledged.set(key, String(number));
    }
  })();
  return async () => {
    stopped = true;
    await running;
    return acknowledged;
  };
}

describe("under a PD that refuses what the real one refuses", () => {
  it("a replica moves by joint consensus while its leader is demoted, and no acknowledged write is lost", async () => {
    await using started = await startedCluster(4);
    const { pd, client, cluster } = started;
    const stop = writer(client, "a");
    const { leader, region } = cluster.at("a");
    const free = [...pd.stores.keys()].find((id) => region.peers.every(({ store_id }) => store_id !== String(id)));
    const learner = await cluster.addLearner("a", free ?? 0);
    const [confVer, version] = cluster.epoch("a");
    cluster.order("a", {
      change_peer_v2: {
        changes: [
          { peer: { ...learner, role: VOTER }, change_type: ADD },
          { peer: { ...leader, role: LEARNER }, change_type: ADD_LEARNER },
        ],
      },
    });
    await until(() => cluster.peerOn("a", free ?? 0)?.role === INCOMING, "the joint state");
    expect(cluster.peerOn("a", leader.store_id)?.role).toBe(DEMOTING);
    expect(cluster.epoch("a")).toEqual([confVer + 2, version]);
    // A leader that is to go does not leave the joint state; nor is another change made, nor a split.
    cluster.order("a", { change_peer_v2: { changes: [] } });
    cluster.order("a", { change_peer: { peer: learner, change_type: REMOVE } });
    await client.put("a-again", "1");
    expect(cluster.epoch("a")).toEqual([confVer + 2, version]);
    await cluster.transfer("a", String(free));
    cluster.order("a", { change_peer_v2: { changes: [] } });
    await until(() => cluster.peerOn("a", free ?? 0)?.role === VOTER, "the joint state to be left");
    expect(cluster.peerOn("a", leader.store_id)?.role).toBe(LEARNER);
    expect(cluster.epoch("a")).toEqual([confVer + 4, version]);
    cluster.order("a", { change_peer: { peer: cluster.peerOn("a", leader.store_id), change_type: REMOVE } });
    await until(() => cluster.peerOn("a", leader.store_id) === undefined, "the old replica to go");
    expect(cluster.epoch("a")).toEqual([confVer + 5, version]);
    for (const [key, value] of await stop()) expect(await client.get(key)).toBe(value);
    expect(pd.refusals).toEqual([]);
  });

  it("a merge takes the source's range and pairs over, and they are there after all were killed", async () => {
    await using started = await startedCluster(3, ["m"]);
    const { pd, client, cluster, processes } = started;
    const stops = [writer(client, "b"), writer(client, "y")];
    await client.put("c", "before");
    const [low, high] = [cluster.at("a").region, cluster.at("m").region];
    const [, lowVersion] = cluster.epoch("a");
    const [, highVersion] = cluster.epoch("m");
    cluster.order("a", { merge: { target: high } });
    await until(() => pd.regions.size === 1, "the merge");
    expect(cluster.at("c").region.id).toBe(high.id);
    expect(cluster.epoch("c")[1]).toBe(Math.max(lowVersion + 1, highVersion) + 1);
    expect(pd.regions.has(Number(low.id))).toBe(false);
    const written = new Map((await Promise.all(stops.map((stop) => stop()))).flatMap((all) => [...all]));
    await Promise.all(processes.map((one) => one.kill()));
    for (const one of processes) one.start();
    for (const [key, value] of [...written, ["c", "before"] as const]) expect(await client.get(key)).toBe(value);
    expect(processes.map((one) => one.log).join("")).not.toContain("[FATAL]");
    expect(pd.refusals).toEqual([]);
  });

  it("splits where it is told, in the middle, and by itself when a region has grown too big", async () => {
    await using started = await startedCluster(1);
    const { pd, client, cluster, processes } = started;
    for (let number = 0; number < 20; number++) await client.put(`k${10 + number}`, "x".repeat(1_000));
    cluster.order("a", { split_region: { policy: 1, keys: [] } });
    await until(() => pd.regions.size === 2, "the split in the middle");
    expect(cluster.at("k25").region.start_key.toString()).toMatch(/^k(19|20|21)$/);
    const limits = { "coprocessor.region-max-size": "15KiB", "coprocessor.region-split-size": "4KiB" };
    const changed = await fetch(`http://${processes[0]?.statusAddress}/config?persist=false`, {
      method: "POST",
      body: JSON.stringify({ "raftstore.split-region-check-tick-interval": "1s" }),
    });
    expect(changed.status).toBe(200);
    const limited = await fetch(`http://${processes[0]?.statusAddress}/config?persist=false`, {
      method: "POST",
      body: JSON.stringify(limits),
    });
    expect([limited.status, await limited.text()]).toEqual([200, ""]);
    for (let number = 0; number < 10; number++) await client.put(`k3${number}`, "x".repeat(1_000));
    await until(() => pd.regions.size > 4, "the splits by size");
    const known = pd.regions.size;
    expect([...pd.regions.values()].every(({ approximate_size }) => Number(approximate_size) < 15 * 1024)).toBe(true);
    expect(pd.splits.flat().length).toBeGreaterThanOrEqual(known);
    expect(pd.refusals).toEqual([]);
  });

  it("a store that PD has buried does not start again, nor one below the cluster's version, nor one of a twin", async () => {
    await using started = await startedCluster(2);
    const { pd, processes } = started;
    const gone = processes.find(({ address }) => address === [...pd.stores.values()][1]?.address);
    if (gone === undefined) throw new Error("no such store");
    await gone.kill();
    pd.bury([...pd.stores.keys()][1] ?? 0);
    expect(await gone.start().exited()).toBe(1);
    expect(gone.log).toMatch(/\[FATAL\].*store is tombstone/);
    await using strict = await new ScriptedPd("7000000000000000003", "9.0.0").start();
    await using one = await tikvProcesses({ count: 1, pd: strict.endpoint, timeFactor: TIME_FACTOR });
    const [young] = one.all;
    expect(await young?.start().exited()).toBe(1);
    expect(young?.log).toMatch(/\[FATAL\].*version should compatible with version {2}9\.0\.0, got 8\./);
  });

  it("a peer that was silent for max-peer-down-duration is reported down, as configured while it runs", async () => {
    await using started = await startedCluster(3);
    const { pd, cluster, processOf } = started;
    const { leader, region } = cluster.at("a");
    const silent = region.peers.find(({ id }) => id !== leader.id);
    if (silent === undefined) throw new Error("no follower");
    const configured = await fetch(`http://${processOf(leader.store_id).statusAddress}/config?persist=false`, {
      method: "POST",
      body: JSON.stringify({ "raftstore.max-peer-down-duration": "10s", "raftstore.pd-heartbeat-tick-interval": "5s" }),
    });
    expect(configured.status).toBe(200);
    expect(cluster.at("a").down_peers).toEqual([]);
    await processOf(silent.store_id).kill();
    await until(() => cluster.at("a").down_peers.length > 0, "the peer to be reported down");
    expect(cluster.at("a").down_peers[0]?.peer.id).toBe(silent.id);
    expect(pd.refusals).toEqual([]);
  });

  it("raw requests of every kind are answered, in families, by followers, and with the store's health", async () => {
    await using started = await startedCluster(3);
    const { pd, client, cluster } = started;
    for (const key of ["a", "b", "c"]) await client.put(key, `value of ${key}`);
    const key = Buffer.from("a");
    const of = (prefix: string, end = "") => ({ start_key: Buffer.from(prefix), end_key: Buffer.from(end) });
    const keysOf = (reply: Readonly<Record<string, unknown>>) =>
      (reply["kvs"] as { readonly key: Buffer }[]).map((pair) => pair.key.toString()).join();
    const ask = (method: string, request: object) => client.insist("a", method, request);
    expect(keysOf(await ask("RawBatchScan", { ranges: [of("a", "b"), of("b")], each_limit: 5 }))).toBe("a,b,c");
    expect(keysOf(await ask("RawScan", { ...of("c", "a"), limit: 5, reverse: true, key_only: true }))).toBe("b,a");
    expect(await ask("RawGetKeyTTL", { key })).toMatchObject({ ttl: "0", not_found: false });
    expect(await ask("RawGetKeyTTL", { key: Buffer.from("none") })).toMatchObject({ not_found: true });
    expect(await ask("RawChecksum", { ranges: [of("a")] })).toMatchObject({ total_kvs: "3", total_bytes: "33" });
    await ask("RawPut", { key, value: Buffer.from("locked"), cf: "lock" });
    expect(await ask("RawGet", { key, cf: "lock" })).toMatchObject({ value: Buffer.from("locked") });
    expect(await client.get("a")).toBe("value of a");
    await ask("RawDeleteRange", of("b", "c"));
    expect(await client.get("b")).toBeNull();

    const at = cluster.at("a");
    const follower = at.region.peers.find(({ id }) => id !== at.leader.id);
    const address = pd.stores.get(Number(follower?.store_id))?.address ?? "";
    const context = { region_id: at.region.id, region_epoch: at.region.region_epoch, peer: follower };
    const read = async (flags: object) =>
      await client.call(address, "RawGet", { context: { ...context, ...flags }, key });
    expect((await read({})).region_error).toMatchObject({ not_leader: { leader: { id: at.leader.id } } });
    expect(await read({ replica_read: true })).toMatchObject({ region_error: null, value: Buffer.from("value of a") });
    expect((await read({ stale_read: true })).region_error).toBeNull();
    const health = await client.call(address, "GetHealthFeedback", {});
    expect(health).toMatchObject({ health_feedback: { store_id: follower?.store_id, slow_score: 1 } });
    expect(pd.refusals).toEqual([]);
  });
});
