import type { MethodDefinition } from "@grpc/grpc-js";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { PdClientConstructor, pdService } from "../../subjects/tikv/proto/load.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { ScriptedStores } from "../support/scripted-stores.ts";

/** A client of pdpb as anybody would write it, with metadata. */
class RawClient {
  readonly #client: InstanceType<typeof PdClientConstructor>;
  readonly #header: object | null;

  constructor(url: string, clusterId: string | null) {
    this.#client = new PdClientConstructor(new URL(url).host, credentials.createInsecure());
    this.#header = clusterId === null ? null : { cluster_id: clusterId };
  }

  call<T = any>(name: string, request: object = {}, metadata = new Metadata()): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = pdService[name] as MethodDefinition<object, T>;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { header: this.#header, ...request },
        metadata,
        (error, reply) => (error === null ? resolve(reply as T) : reject(error)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

let pd: PdCluster;
let stores: ScriptedStores;
let leader: RawClient;
let follower: RawClient;
let foreign: RawClient;
let clusterId: string;

beforeAll(async () => {
  const signal = AbortSignal.timeout(40_000);
  pd = await startPdCluster({ members: 3, timeFactor: 0.2, initialRegions: 3 });
  const name = await pd.leader(signal);
  const other = pd.names.find((each) => each !== name) ?? "";
  stores = new ScriptedStores({ host: "127.0.0.1", port: Number(new URL(pd.urls[name] as string).port) }, signal);
  await stores.join(3);
  const count = async () =>
    (JSON.parse((await pd.get(name, "/pd/api/v1/regions/count")).body) as { count: number }).count;
  await waitFor(async () => (await count()) === 3, {
    clock: systemClock,
    timeoutMs: 20_000,
    everyMs: 50,
    what: "three regions",
    signal,
  });
  const asking = new RawClient(pd.urls[name] as string, null);
  clusterId = (await asking.call("GetMembers")).header.cluster_id;
  asking.close();
  leader = new RawClient(pd.urls[name] as string, clusterId);
  follower = new RawClient(pd.urls[other] as string, clusterId);
  foreign = new RawClient(pd.urls[name] as string, "17");
});

afterAll(async () => {
  for (const client of [leader, follower, foreign]) client.close();
  await stores[Symbol.asyncDispose]();
  await pd[Symbol.asyncDispose]();
});

const all = { start_key: Buffer.alloc(0), end_key: Buffer.alloc(0) };

describe("who answers", () => {
  test("every member, whatever cluster is meant: members and service modes", async () => {
    for (const client of [leader, follower, foreign]) {
      expect((await client.call("GetMembers")).members).toHaveLength(3);
      expect(await client.call("GetClusterInfo")).toMatchObject({
        service_modes: [1],
        header: { cluster_id: clusterId },
      });
    }
  });

  test("a foreign cluster id is a failed precondition; a follower is not leader", async () => {
    for (const name of ["GetRegion", "GetStore", "AllocID", "IsBootstrapped", "GetGCSafePoint", "GetMinTS"]) {
      await expect(foreign.call(name), name).rejects.toMatchObject({
        code: status.FAILED_PRECONDITION,
        details: `mismatch cluster id, need ${clusterId} but got 17`,
      });
      await expect(follower.call(name), name).rejects.toMatchObject({
        code: status.UNAVAILABLE,
        details: "not leader",
      });
    }
  });

  test("a follower's copy of the regions, for who asks for it", async () => {
    const asking = new Metadata();
    asking.set("pd-allow-follower-handle", "");
    const copied = () => follower.call("ScanRegions", { ...all, limit: 10 }, asking);
    await waitFor(async () => (await copied()).regions.length === 3, {
      clock: systemClock,
      timeoutMs: 10_000,
      everyMs: 50,
      what: "the copy",
      signal: AbortSignal.timeout(12_000),
    });
    expect((await follower.call("GetRegion", { region_key: Buffer.from("z") }, asking)).region).not.toBeNull();
    await expect(follower.call("GetStore", { store_id: stores.storeIds[0] }, asking)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
  });
});

describe("regions", () => {
  test("before a key, in a range, in several ranges", async () => {
    const { regions } = await leader.call("ScanRegions", { ...all, limit: 0 });
    expect(regions).toHaveLength(3);
    const ids = regions.map(({ region }: any) => region.id);
    const key = regions[1].region.start_key as Buffer;
    expect((await leader.call("GetRegion", { region_key: key })).region.id).toBe(ids[1]);
    expect((await leader.call("GetPrevRegion", { region_key: key })).region.id).toBe(ids[0]);
    expect((await leader.call("GetPrevRegion", { region_key: Buffer.alloc(0) })).region).toBeNull();
    const batch = (ranges: object[], more: object = {}) =>
      leader.call("BatchScanRegions", { ranges, limit: 0, ...more });
    const idsOf = async (reply: Promise<any>) => (await reply).regions.map(({ region }: any) => region.id);
    const [first, last] = [
      { start_key: Buffer.alloc(0), end_key: key },
      { start_key: regions[2].region.start_key, end_key: Buffer.alloc(0) },
    ];
    expect(await idsOf(batch([first, last]))).toEqual([ids[0], ids[2]]);
    expect(await idsOf(batch([first, all]))).toEqual(ids);
    expect(await idsOf(batch([all], { limit: 2 }))).toEqual(ids.slice(0, 2));
    expect(await idsOf(batch([first, last], { contain_all_key_range: true }))).toEqual([ids[0], ids[2]]);
  });

  test("an unknown one is nothing, an operator that is not there an error in the header", async () => {
    expect((await leader.call("GetRegionByID", { region_id: "99999" })).region).toBeNull();
    expect((await leader.call("GetOperator", { region_id: "99999" })).header.error).toEqual({
      type: 6,
      message: "Not Found",
    });
  });

  test("scattered and cut on demand, and what became of it", async () => {
    const { regions } = await leader.call("ScanRegions", { ...all, limit: 0 });
    const regions_id = regions.map(({ region }: any) => region.id);
    expect((await leader.call("ScatterRegion", { regions_id })).finished_percentage).toBe("100");
    expect((await leader.call("ScatterRegion", { region_id: "99999" })).header.error.type).toBe(6);
    const cut = await leader.call("SplitRegions", { split_keys: [Buffer.from("zz1"), Buffer.from("zz2")] });
    expect(cut).toMatchObject({ finished_percentage: "100" });
    expect(cut.regions_id).toHaveLength(2);
  });
});

describe("stores", () => {
  test("one with its last report, an unknown one, an unknown one's heartbeat", async () => {
    const [id] = stores.storeIds;
    expect(await leader.call("GetStore", { store_id: id })).toMatchObject({
      store: { id, address: "tikv0:20160" },
      stats: { store_id: id, used_size: "1048576" },
    });
    expect((await leader.call("GetStore", { store_id: "999" })).header.error).toEqual({
      type: 1,
      message: "invalid store ID 999, not found",
    });
    expect((await leader.call("StoreHeartbeat", { stats: { store_id: "999" } })).header.error).toEqual({
      type: 1,
      message: "store 999 not found",
    });
    expect((await leader.call("Bootstrap", { store: { id }, region: {} })).header.error).toEqual({
      type: 4,
      message: "cluster is already bootstrapped",
    });
    expect((await leader.call("AskBatchSplit", { split_count: 1 })).header.error.type).toBe(6);
  });
});

describe("safe points, which clients of transactions ask for", () => {
  test("the collector's never goes back; of services the least that has not run out counts", async () => {
    expect(await leader.call("GetGCSafePoint")).toMatchObject({ safe_point: "0" });
    expect(await leader.call("UpdateGCSafePoint", { safe_point: "100" })).toMatchObject({ new_safe_point: "100" });
    expect(await leader.call("UpdateGCSafePoint", { safe_point: "50" })).toMatchObject({ new_safe_point: "100" });
    const service = (id: string, TTL: string, safe_point: string) =>
      leader.call("UpdateServiceGCSafePoint", { service_id: Buffer.from(id), TTL, safe_point });
    const told = async (reply: Promise<any>) => {
      const { service_id, min_safe_point } = await reply;
      return [service_id.toString(), min_safe_point];
    };
    expect(await told(service("backup", "3600", "70"))).toEqual(["gc_worker", "0"]);
    expect(await told(service("gc_worker", String(Number.MAX_SAFE_INTEGER), "90"))).toEqual(["backup", "70"]);
    expect(await told(service("backup", "0", "70"))).toEqual(["gc_worker", "90"]);
    await leader.call("SetExternalTimestamp", { timestamp: "442" });
    expect(await leader.call("GetExternalTimestamp")).toMatchObject({ timestamp: "442" });
    expect(Number((await leader.call("GetMinTS")).timestamp.physical)).toBeGreaterThan(1_700_000_000_000);
  });
});
