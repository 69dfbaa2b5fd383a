import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { ScriptedStores } from "../support/scripted-stores.ts";

/** What an administrator orders of PD, and what its stores, which do as they are told at once, then look like. */
const TIME_FACTOR = 0.05;

let scope: AsyncDisposableStack;
let pd: PdCluster;
let stores: ScriptedStores;

beforeEach(async ({ signal }) => {
  scope = new AsyncDisposableStack();
  pd = scope.use(await startPdCluster({ members: 1, timeFactor: TIME_FACTOR, initialRegions: 1 }));
  await pd.leader(signal);
  await attach(signal);
  await stores.join(3);
  keepAlive();
  await until("three voters", async () => (await region()).peers.length === 3 && (await isQuiet()), signal);
});
afterEach(() => scope.disposeAsync());

async function attach(signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(pd.urls["pd0"] as string);
  stores = scope.use(new ScriptedStores({ host: hostname, port: Number(port) }, signal));
}

/** Heartbeats as often as stores send them. */
function keepAlive(): void {
  const stop = new AbortController();
  scope.defer(() => stop.abort());
  const own = stores;
  void (async () => {
    while (!stop.signal.aborted) {
      await own.heartbeats().catch(() => {});
      await systemClock.sleep(10_000 * TIME_FACTOR, stop.signal).catch(() => {});
    }
  })();
}

const get = async (path: string) => JSON.parse((await pd.get("pd0", `/pd/api/v1${path}`)).body) as any;
const send = (method: string, path: string, body?: unknown) => pd.send("pd0", method, `/pd/api/v1${path}`, body);
const region = async () => (await get("/regions")).regions[0];
const isQuiet = async () => (await get("/operators")).length === 0;
const metric = async (name: string): Promise<string> =>
  (await pd.get("pd0", "/metrics")).body
    .split("\n")
    .filter((line) => line.startsWith(name))
    .join("\n");

function until(what: string, ask: () => Promise<boolean>, signal: AbortSignal): Promise<unknown> {
  return waitFor(() => ask().catch(() => false), {
    clock: systemClock,
    timeoutMs: 20_000,
    everyMs: 20,
    what,
    signal,
  });
}

describe("replicas", () => {
  test("an administrator's remove-peer is undone by the rule checker", async ({ signal }) => {
    const { id, peers } = await region();
    const gone = peers[2].store_id;
    const order = { name: "remove-peer", region_id: id, store_id: gone };
    expect((await send("POST", "/operators", order)).status).toBe(200);
    await until(
      "removed and added again",
      async () => {
        const removed = stores.orders.findIndex((line) => line.includes(`removed ${gone}`));
        return removed >= 0 && stores.orders.slice(removed).some((line) => line.includes(`learner ${gone}`));
      },
      signal,
    );
    await until("three voters", async () => (await region()).peers.length === 3 && (await isQuiet()), signal);
    expect(await metric("pd_checker_event_count")).toMatch(/name="add-rule-peer"/);
    expect(await metric("pd_schedule_operators_count")).toMatch(/event="finish",type="admin-remove-peer"/);
  });

  test("a down store's replica stays while there is no store for it, and goes to the one that joins", async ({
    signal,
  }) => {
    await send("POST", "/config", { "max-store-down-time": "1m0s" });
    const { id, peers } = await region();
    const lost = peers[1];
    stores.dead.add(String(lost.store_id));
    stores.downPeers.set(String(id), [
      { peer: { id: String(lost.id), store_id: String(lost.store_id), role: 0 }, down_seconds: "4000" },
    ]);
    await until(
      "no-store-replace",
      async () => (await metric("pd_checker_event_count")).includes("no-store-replace"),
      signal,
    );
    expect((await region()).peers).toHaveLength(3);
    await stores.join(1);
    await until(
      "a replacement",
      async () => (await region()).peers.every((peer: any) => peer.store_id !== lost.store_id && !peer.role),
      signal,
    );
    expect((await region()).peers).toHaveLength(3);
  });
});

describe("schedulers", () => {
  test("when PD starts again a pause is forgotten, an evicted store is not", async ({ signal }) => {
    const leader = (await region()).leader.store_id;
    const added = await send("POST", "/schedulers", { name: "evict-leader-scheduler", store_id: leader });
    expect(added.status).toBe(200);
    await until("another leader", async () => (await region()).leader.store_id !== leader, signal);
    expect((await send("POST", "/schedulers/balance-leader-scheduler", { delay: 60 })).status).toBe(200);
    expect(await get("/schedulers?status=paused")).toEqual(["balance-leader-scheduler"]);
    await pd.stop("pd0");
    await pd.start("pd0");
    await pd.leader(signal);
    expect(await get("/schedulers")).toContain("evict-leader-scheduler");
    // A pause is known to the leader that was asked alone.
    expect(await get("/schedulers?status=paused")).toEqual([]);
    expect(await get("/scheduler-config/evict-leader-scheduler/list")).toMatchObject({
      "store-id-ranges": { [leader]: expect.anything() },
    });
  });

  test("a replica limit of 0 for a while: nothing is repaired until it is over", async ({ signal }) => {
    const config = { "schedule.replica-schedule-limit": 0 };
    expect((await send("POST", "/config?ttlSecond=40", config)).body).toMatch(/updated/);
    const refused = await send("POST", "/config", { "replica-schedule-limit": 4 });
    expect(refused).toMatchObject({
      status: 400,
      body: '"need to clean up TTL first for schedule.replica-schedule-limit"\n',
    });
    expect(await send("POST", "/config?ttlSecond=40", { "replication.max-replicas": 5 })).toMatchObject({
      status: 400,
      body: '"unsupported ttl config replication.max-replicas"\n',
    });
    const { id, peers } = await region();
    await send("POST", "/operators", { name: "remove-peer", region_id: id, store_id: peers[2].store_id });
    await until("it is gone", async () => (await region()).peers.length === 2 && (await isQuiet()), signal);
    await systemClock.sleep(15_000 * TIME_FACTOR);
    expect((await region()).peers).toHaveLength(2);
    await until("it is back", async () => (await region()).peers.length === 3, signal);
  });
});

describe("what stores say of themselves", () => {
  test.each([
    ["is slow", { slow_score: 100 }],
    ["is about to stop", { is_stopping: true }],
  ])("one that %s loses its leaders", async (_, stats) => {
    const signal = AbortSignal.timeout(30_000);
    const leader = (await region()).leader.store_id;
    stores.stats.set(String(leader), stats);
    await until("another leader", async () => (await region()).leader.store_id !== leader, signal);
  });

  test("writes and reads of a region make it hot, on every replica and on its leader", async ({ signal }) => {
    const { id, leader } = await region();
    const interval = { start_timestamp: "1700000000", end_timestamp: "1700000010" };
    stores.flows.set(String(id), { bytes_written: "1000000", keys_written: "1000", interval });
    const read_bytes = "5000000";
    const peer_stats = [{ region_id: String(id), read_keys: "50000", read_bytes, query_stats: null }];
    stores.stats.set(String(leader.store_id), { interval, peer_stats });
    const hot = async (flow: string, as: string, of: string) => (await get(`/hotspot/regions/${flow}`))[as][of];
    const led = String(leader.store_id);
    await until("a hot region", async () => (await hot("write", "as_leader", led)).regions_count === 1, signal);
    await until("a read region", async () => (await hot("read", "as_leader", led)).regions_count === 1, signal);
    const other = stores.storeIds.find((each) => each !== led) ?? "";
    expect(await hot("write", "as_peer", other)).toMatchObject({ regions_count: 1, total_flow_bytes: 100_000 });
    expect(await hot("read", "as_leader", led)).toMatchObject({ total_flow_bytes: 500_000, total_flow_keys: 5_000 });
    expect(await hot("read", "as_peer", other)).toMatchObject({ regions_count: 0 });
    expect(await metric("pd_hotspot_status")).toMatch(/type="hot_write_region_as_leader"\} 1/);
  });
});

describe("placement rules", () => {
  test("the default one follows max-replicas, and one that is set counts at once", async ({ signal }) => {
    expect(await get("/config/rules")).toMatchObject([{ group_id: "pd", id: "default", role: "voter", count: 3 }]);
    const rule = { group_id: "pd", id: "default", start_key: "", end_key: "", role: "voter", count: 1 };
    expect((await send("POST", "/config/rule", rule)).status).toBe(200);
    await until("one voter", async () => (await region()).peers.length === 1 && (await isQuiet()), signal);
    expect(await get("/config/rule/pd/default")).toMatchObject({ count: 1 });
  });
});
