import type { Readable } from "node:stream";
import { credentials } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { HealthClientConstructor } from "../../subjects/tikv/proto/load.ts";
import { keepReplicated, ScriptedPd } from "../support/scripted-pd.ts";
import { StoreClient } from "../support/store-client.ts";
import { tikvProcesses } from "../support/tikv-processes.ts";

const TIME_FACTOR = 0.1;
const KEYS = ["d", "h", "m", "r"];

async function startedCluster(timeFactor = TIME_FACTOR) {
  const scope = new AsyncDisposableStack();
  const pd = scope.use(await new ScriptedPd().start());
  keepReplicated(pd, { stores: 3, keys: KEYS });
  const processes = scope.use(await tikvProcesses({ count: 3, pd: pd.endpoint, timeFactor }));
  const client = scope.use(new StoreClient(pd));
  for (const one of processes.all) one.start();
  const ready = () =>
    pd.regions.size === KEYS.length + 1 &&
    [...pd.regions.values()].every(
      ({ region, pending_peers }) =>
        region.peers.length === 3 && region.peers.every(({ role }) => role === 0) && pending_peers.length === 0,
    );
  await until(ready, "every region to have three replicas");
  const processOf = (storeId: string) => {
    const address = pd.stores.get(Number(storeId))?.address;
    const found = processes.all.find((one) => one.address === address);
    if (found === undefined) throw new Error(`store ${storeId} has no process`);
    return found;
  };
  return { pd, client, processes: processes.all, processOf, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

const until = (ask: () => boolean | Promise<boolean>, what: string) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 30_000, everyMs: 20, what });

describe("three stores", () => {
  it("answer every raw request, and refuse what is not theirs as TiKV does", async () => {
    await using cluster = await startedCluster();
    const { client, pd } = cluster;
    for (const key of ["a", "b", "e", "n", "z"]) await client.put(key, `value of ${key}`);
    expect(await client.get("n")).toBe("value of n");
    expect(await client.get("nothing")).toBeNull();
    const scan = { start_key: Buffer.from("a"), end_key: Buffer.alloc(0), limit: 10 };
    const scanned = await client.insist("a", "RawScan", scan);
    expect((scanned["kvs"] as { key: Buffer }[]).map(({ key }) => key.toString())).toEqual(["a", "b"]);
    await client.insist("b", "RawDelete", { key: Buffer.from("b") });
    expect(await client.get("b")).toBeNull();
    const swap = { key: Buffer.from("a"), value: Buffer.from("new"), previous_value: Buffer.from("value of a") };
    expect(await client.insist("a", "RawCompareAndSwap", swap)).toMatchObject({ succeed: true });
    expect(await client.insist("a", "RawCompareAndSwap", swap)).toMatchObject({
      succeed: false,
      previous_value: Buffer.from("new"),
    });

    const at = client.regionOf("a");
    const leader = pd.stores.get(Number(at.leader.store_id))?.address ?? "";
    const follower = at.region.peers.find(({ id }) => id !== at.leader.id);
    const elsewhere = pd.stores.get(Number(follower?.store_id))?.address ?? "";
    const context = { region_id: at.region.id, region_epoch: at.region.region_epoch, peer: at.leader };
    const refused = async (address: string, changed: object, key = "a") =>
      (await client.call(address, "RawGet", { context: { ...context, ...changed }, key: Buffer.from(key) }))
        .region_error;
    expect(await refused(elsewhere, { peer: follower })).toMatchObject({
      not_leader: { leader: { id: at.leader.id } },
    });
    expect(await refused(elsewhere, {})).toMatchObject({ store_not_match: {} });
    expect(await refused(leader, { region_id: "999" })).toMatchObject({ region_not_found: { region_id: "999" } });
    expect(await refused(leader, {}, "z")).toMatchObject({ key_not_in_region: { region_id: at.region.id } });
    const { conf_ver, version } = at.region.region_epoch;
    const newer = { region_epoch: { conf_ver, version: String(Number(version) + 1) } };
    const mismatch = await refused(leader, newer);
    expect(mismatch).toMatchObject({ epoch_not_match: { current_regions: [{ id: at.region.id }] } });
  });

  it("lose no acknowledged write when a leader is killed, nor when all are", async () => {
    await using cluster = await startedCluster();
    const { client, processes, processOf } = cluster;
    const written = new Map<string, string>();
    const write = async (count: number, prefix: string) => {
      for (let number = 0; number < count; number++) {
        const key = `${"aeiotz"[number % 6]}-${prefix}-${number}`;
        await client.put(key, `${prefix} ${number}`);
        written.set(key, `${prefix} ${number}`);
      }
    };
    await write(60, "before");
    const victim = processOf(client.regionOf("a").leader.store_id);
    await victim.kill();
    await write(60, "without one");
    victim.start();
    await write(30, "with it again");
    await Promise.all(processes.map((one) => one.kill()));
    for (const one of processes) one.start();
    await write(6, "after all");
    for (const [key, value] of written) expect(await client.get(key)).toBe(value);
  });

  it("hand their leaders over on SIGTERM, and end with 0", async () => {
    await using cluster = await startedCluster();
    const { client, processOf } = cluster;
    await client.put("a", "1");
    const leaving = client.regionOf("a").leader.store_id;
    const victim = processOf(leaving);
    const health = new HealthClientConstructor(victim.address, credentials.createInsecure());
    const said: number[] = [];
    const watch = (health as unknown as Record<string, (request: object) => Readable>)["Watch"]?.call(health, {});
    watch?.on("data", ({ status }: { readonly status: number }) => said.push(status)).on("error", () => {});
    await until(() => said.length === 1, "the store to be healthy");
    victim.signal("SIGTERM");
    expect(await victim.exited()).toBe(0);
    health.close();
    // SERVING, then NOT_SERVING.
    expect(said).toEqual([1, 2]);
    expect(cluster.pd.heartbeats.some((stats) => stats["is_stopping"] === true)).toBe(true);
    expect(victim.log).toContain("starting graceful shutdown");
    expect(await client.get("a")).toBe("1");
    expect(client.regionOf("a").leader.store_id).not.toBe(leaving);
  });

  it("refuse a folder in use, an address in use and another cluster's data, and end with 1", async () => {
    await using cluster = await startedCluster();
    const [first] = cluster.processes;
    if (first === undefined) throw new Error("no process");
    await using strangers = await tikvProcesses({ count: 1, pd: cluster.pd.endpoint, timeFactor: TIME_FACTOR });
    const [stranger] = strangers.all;
    if (stranger === undefined) throw new Error("no process");
    const twin = stranger.with({ "advertise-addr": first.address });
    expect(await twin.start().exited()).toBe(1);
    expect(twin.log).toMatch(/\[FATAL\].*duplicated store address/);
    const squatter = stranger.with({ "data-dir": first.dataDir });
    expect(await squatter.start().exited()).toBe(1);
    expect(squatter.log).toContain("another instance is using this directory");
    await using other = await new ScriptedPd("7000000000000000002").start();
    const moved = stranger.with({ pd: other.endpoint });
    expect(await moved.start().exited()).toBe(1);
    expect(moved.log).toContain("cluster ID mismatch");
  });

  it("do what PD asks: remove a replica, add it again while its store sleeps, give it the lead", async () => {
    await using cluster = await startedCluster();
    const { client, pd, processOf } = cluster;
    await client.put("a", "1");
    const at = client.regionOf("a");
    const follower = at.region.peers.find(({ id }) => id !== at.leader.id);
    if (follower === undefined) throw new Error("no follower");
    const sleeper = processOf(follower.store_id);
    sleeper.signal("SIGSTOP");
    pd.ask(Number(at.region.id), { change_peer: { peer: follower, change_type: 1 } });
    const replacement = () =>
      client
        .regionOf("a")
        .region.peers.find(({ store_id, id }) => store_id === follower.store_id && id !== follower.id);
    await until(() => replacement() !== undefined, "PD to have it added again");
    await client.put("a", "2");
    sleeper.signal("SIGCONT");
    await until(() => replacement()?.role === 0, "the new replica to be a voter");
    pd.ask(Number(at.region.id), { transfer_leader: { peer: replacement(), peers: [] } });
    await until(() => client.regionOf("a").leader.store_id === follower.store_id, "it to lead");
    expect(await client.get("a")).toBe("2");
    expect(sleeper.log).toContain("begin to destroy peer");
  });

  it("split a region with its pairs, and find both halves after all were killed", async () => {
    await using cluster = await startedCluster();
    const { client, pd, processes } = cluster;
    const keys = Array.from({ length: 20 }, (_, number) => `a${String(number).padStart(2, "0")}`);
    for (const key of keys) await client.put(key, `value of ${key}`);
    const before = client.regionOf("a00").region.id;
    // With keys of a scheduler, and without: then in the middle of what is there.
    pd.ask(Number(before), { split_region: { policy: 2, keys: [Buffer.from("a05")] } });
    await until(() => client.apart("a00", "a05"), "the first split");
    pd.ask(Number(client.regionOf("a10").region.id), { split_region: { policy: 1, keys: [] } });
    await until(() => client.apart("a06", "a19"), "the second split");
    for (const key of keys) expect(await client.get(key)).toBe(`value of ${key}`);
    await Promise.all(processes.map((one) => one.kill()));
    for (const one of processes) one.start();
    for (const key of keys) expect(await client.get(key)).toBe(`value of ${key}`);
  });

  it("say on their status port what state they are in", async () => {
    await using cluster = await startedCluster();
    const { client, pd, processOf } = cluster;
    await client.put("a", "1");
    const { region, leader } = client.regionOf("a");
    const base = `http://${processOf(leader.store_id).statusAddress}`;
    const get = async (path: string) => {
      const reply = await fetch(base + path);
      return { status: reply.status, body: await reply.text() };
    };
    expect(await get("/status")).toEqual({ status: 200, body: "" });
    expect(JSON.parse((await get(`/region/${region.id}`)).body)).toMatchObject({
      raft_status: { soft_state: { raft_state: "Leader" } },
    });
    expect((await get("/region/999999")).status).toBe(404);
    expect((await get("/nothing")).status).toBe(404);
    expect(JSON.parse((await get("/config")).body)).toMatchObject({ server: { addr: expect.any(String) } });
    const { body } = await get("/metrics");
    expect(body).toMatch(/tikv_raftstore_region_count\{type="region"\} 5/);
    expect(body).toMatch(/tikv_grpc_msg_duration_seconds_count\{type="raw_put",priority="normal"\} [1-9]/);
    expect(body).toMatch(/tikv_pd_request_duration_seconds_count\{type="store_heartbeat"\} [1-9]/);
    expect(body).toMatch(/process_start_time_seconds 1\d{9}/);
    expect(pd.heartbeats.length).toBeGreaterThanOrEqual(3);
  });
});
