import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { ScriptedStores } from "../support/scripted-stores.ts";

let pd: PdCluster;
let leader: string;
let followers: string[];
const opened: ScriptedStores[] = [];

beforeEach(async ({ signal }) => {
  pd = await startPdCluster({ members: 3, timeFactor: 0.1 });
  leader = await pd.leader(signal);
  followers = pd.names.filter((name) => name !== leader);
});

afterEach(async () => {
  for (const stores of opened.splice(0)) await stores[Symbol.asyncDispose]();
  await pd[Symbol.asyncDispose]();
});

function storesAt(name: string, signal: AbortSignal): ScriptedStores {
  const stores = new ScriptedStores({ host: "127.0.0.1", port: Number(new URL(pd.urls[name] as string).port) }, signal);
  opened.push(stores);
  return stores;
}

async function joined(count: number, signal: AbortSignal): Promise<ScriptedStores> {
  const stores = storesAt(leader, signal);
  await stores.join(count);
  return stores;
}

const until = <T>(what: string, ask: () => Promise<T | false | null>, signal: AbortSignal) =>
  waitFor(ask, { clock: systemClock, timeoutMs: 20_000, everyMs: 20, what, signal });

const json = async (path: string, name = leader) => JSON.parse((await pd.get(name, path)).body) as any;
const leaders = async () => Object.values((await json("/pd/api/v1/stats/region")).store_leader_count);
const evenly = (signal: AbortSignal) =>
  until(
    "leaders spread evenly",
    async () => (await leaders()).every((count) => count === 4) && (await leaders()).length === 3,
    signal,
  );

describe("scheduling", () => {
  test("three new stores end with 12 regions of three replicas and leaders spread evenly", async ({ signal }) => {
    await joined(3, signal);
    await evenly(signal);
    const { regions } = await json("/pd/api/v1/regions");
    expect(regions).toHaveLength(12);
    expect(regions.every((region: any) => region.peers.length === 3)).toBe(true);
    expect(await json("/pd/api/v1/regions/range-holes")).toEqual([]);
  });

  test("evict-leader empties one store and its removal lets leaders come back", async ({ signal }) => {
    const stores = await joined(3, signal);
    await evenly(signal);
    const victim = Number(stores.storeIds[1]);
    await pd.send(leader, "POST", "/pd/api/v1/schedulers", { name: "evict-leader-scheduler", store_id: victim });
    await until(
      "no leader on the store",
      async () => (await json(`/pd/api/v1/store/${victim}`)).status.leader_count === 0,
      signal,
    );
    await pd.send(leader, "DELETE", `/pd/api/v1/schedulers/evict-leader-scheduler-${victim}`);
    await evenly(signal);
  });

  test("a paused or halted scheduler moves nothing until it is resumed", async ({ signal }) => {
    const stores = await joined(3, signal);
    await evenly(signal);
    await pd.send(leader, "POST", "/pd/api/v1/config", { "halt-scheduling": "true" });
    const region = (await json("/pd/api/v1/regions")).regions[0];
    const to = region.peers.find((peer: any) => peer.store_id !== region.leader.store_id).store_id;
    await pd.send(leader, "POST", "/pd/api/v1/operators", {
      name: "transfer-leader",
      region_id: region.id,
      to_store_id: to,
    });
    await until(
      "the transfer",
      async () => (await json(`/pd/api/v1/region/id/${region.id}`)).leader.store_id === to,
      signal,
    );
    for (const id of stores.storeIds) await stores.heartbeat(id);
    expect((await leaders()).sort()).toEqual([3, 4, 5]);
    await pd.send(leader, "POST", "/pd/api/v1/config", { "halt-scheduling": "false" });
    await evenly(signal);
  });

  test("an Offline store is drained where a fourth one can take its replicas, and buried", async ({ signal }) => {
    const stores = await joined(4, signal);
    await until(
      "twelve regions of three replicas",
      async () => {
        const { regions } = await json("/pd/api/v1/regions");
        return regions.length === 12 && regions.every((region: any) => region.peers.length === 3);
      },
      signal,
    );
    const victim = stores.storeIds[0];
    expect((await pd.send(leader, "DELETE", `/pd/api/v1/store/${victim}`)).status).toBe(200);
    await until(
      "Tombstone",
      async () => (await json(`/pd/api/v1/store/${victim}`)).store.state_name === "Tombstone",
      signal,
    );
    expect((await json("/pd/api/v1/stores")).count).toBe(3);
  });

  test("a silent store is Disconnected after 20 s and Up with its next heartbeat", async ({ signal }) => {
    const stores = await joined(3, signal);
    const state = async () => (await json(`/pd/api/v1/store/${stores.storeIds[2]}`)).store.state_name;
    await until("Disconnected", async () => (await state()) === "Disconnected", signal);
    const { body } = await pd.get(leader, "/metrics");
    expect(body).toContain(
      `pd_cluster_status{engine="tikv",store="${stores.storeIds[2]}",type="store_disconnected_count"} 1`,
    );
    await stores.heartbeat(stores.storeIds[2] as string);
    expect(await state()).toBe("Up");
  });
});

describe("members", () => {
  test("followers answer for the leader and say who it is", async ({ signal }) => {
    await joined(1, signal);
    for (const name of followers) {
      expect((await json("/pd/api/v1/leader", name)).name).toBe(leader);
      expect((await json("/pd/api/v1/stores", name)).count).toBe(1);
    }
    const own = await pd.get(followers[0] as string, "/pd/api/v1/stores", { "PD-Allow-follower-handle": "true" });
    expect(own.status).toBe(500);
    const members = await storesAt(followers[0] as string, signal).call<any>("GetMembers", {}, false);
    expect(members.leader.name).toBe(leader);
    expect(members.members.map((member: any) => member.client_urls[0]).sort()).toEqual(Object.values(pd.urls).sort());
  });

  test("when the leader dies, redirects fail until another one serves, and nothing is given out twice", async ({
    signal,
  }) => {
    const stores = await joined(3, signal);
    await evenly(signal);
    const idBefore = Number((await stores.call<any>("AllocID", {})).id);
    await pd.stop(leader);
    const gone = leader;
    const asked = await pd.get(followers[0] as string, "/pd/api/v1/stores");
    expect(asked).toMatchObject({ status: 500, body: "[PD:apiutil:ErrRedirect]redirect failed\n" });
    expect((await pd.get(followers[0] as string, "/pd/api/v1/health")).status).toBe(200);
    leader = await until(
      "another leader",
      async () => {
        const { status: code, body } = await pd.get(followers[0] as string, "/pd/api/v1/leader");
        const name = code === 200 ? (JSON.parse(body)?.name as string) : gone;
        return name !== gone && name;
      },
      signal,
    );
    // It has a copy of the regions: clients are routed at once.
    expect((await json("/pd/api/v1/regions")).count).toBe(12);
    const after = storesAt(leader, signal);
    const header = (await after.call<any>("GetMembers", {}, false)).header;
    expect(Number((await after.call<any>("AllocID", { header }, false)).id)).toBeGreaterThan(idBefore);
  });

  test("after all were stopped regions are known at once, without leaders until stores report", async ({ signal }) => {
    await joined(3, signal);
    await evenly(signal);
    const { regions: before } = await json("/pd/api/v1/regions");
    for (const stores of opened.splice(0)) await stores[Symbol.asyncDispose]();
    for (const name of pd.names) await pd.stop(name);
    for (const name of pd.names) await pd.start(name);
    leader = await pd.leader(signal);
    const { count, regions } = await json("/pd/api/v1/regions");
    expect(count).toBe(12);
    const shape = ({ id, start_key, end_key, epoch, peers }: any) => ({ id, start_key, end_key, epoch, peers });
    expect(regions.map(shape)).toEqual(before.map(shape));
    expect(regions.every((region: any) => region.leader.store_id === undefined)).toBe(true);
    expect(await json("/pd/api/v1/stats/region")).toMatchObject({ count: 12, store_leader_count: {} });
    const client = storesAt(leader, signal);
    const { header } = await client.call<any>("GetMembers", {}, false);
    const found = await client.call<any>("GetRegion", { header, region_key: Buffer.from("k") }, false);
    expect(found).toMatchObject({ leader: null, region: { peers: [{}, {}, {}] } });
    const scan = { header, start_key: Buffer.alloc(0), end_key: Buffer.alloc(0), limit: 5 };
    expect((await client.call<any>("ScanRegions", scan, false)).regions).toHaveLength(5);
  });

  test("without a quorum etcd says so while PD's own health does not", async ({ signal }) => {
    for (const name of followers) await pd.stop(name);
    await until(
      "RAFT NO LEADER",
      async () => {
        const { status: code, body } = await pd.get(leader, "/health");
        return code === 503 && body === '{"health":"false","reason":"RAFT NO LEADER"}\n';
      },
      signal,
    );
    expect((await pd.get(leader, "/health?serializable=true")).status).toBe(200);
    const health = await json("/pd/api/v1/health");
    expect(health.map(({ name, health: ok }: any) => [name, ok])).toEqual(
      pd.names.map((name) => [name, name === leader]),
    );
    expect((await pd.get(leader, "/metrics")).body).toContain("etcd_server_has_leader 0");
    const lost = await pd.get(leader, "/pd/api/v1/leader");
    expect(lost).toMatchObject({ status: 503, body: "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n" });
    await pd.start(followers[0] as string);
    await pd.leader(signal);
  });

  test("a member that starts again is silent until it has met the others, then says that it has not started", async ({
    signal,
  }) => {
    for (const name of pd.names) await pd.stop(name);
    await pd.start("pd1");
    const path = `${pd.urls["pd1"]}/pd/api/v1/stores`;
    await expect(fetch(path, { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/);
    const waiting = pd.get("pd1", "/pd/api/v1/stores");
    await pd.start("pd0");
    expect(await waiting).toMatchObject({ status: 500, body: "[PD:server:ErrServerNotStarted]server not started\n" });
    await pd.leader(signal);
  });

  test("a member that meets nobody gives up after five minutes, as PD does", async () => {
    for (const name of pd.names) await pd.stop(name);
    const [name = ""] = pd.names;
    const ended = new Promise<unknown>((resolve) => void pd.start(name, { timeFactor: 0.001, onFatal: resolve }));
    expect(String(await ended)).toContain("[PD:server:ErrCancelStartEtcd]etcd start canceled");
    for (const each of pd.names) await pd.stop(each);
    await Promise.all(pd.names.map((each) => pd.start(each)));
  });

  test("leadership goes to the member of highest priority, and stays there", async ({ signal }) => {
    await using own = await startPdCluster({ members: 3, timeFactor: 0.05 });
    const first = await own.leader(signal);
    const [heir = ""] = own.names.filter((name) => name !== first);
    const set = await own.send(first, "POST", `/pd/api/v1/members/name/${heir}`, { "leader-priority": 5 });
    expect(set.status).toBe(200);
    await until("the heir leads", async () => (await own.leader(signal)) === heir, signal);
  });

  test("leadership goes where it is sent, and the key is free at once", async ({ signal }) => {
    const heir = followers[1] as string;
    expect((await pd.send(leader, "POST", `/pd/api/v1/leader/transfer/${heir}`)).status).toBe(200);
    await until("the heir serves", async () => (await pd.leader(signal)) === heir, signal);
    expect((await pd.get(heir, "/metrics")).body).toContain('service_member_role{service="PD"} 1');
  });

  test("a leader whose heir is gone serves again", async ({ signal }) => {
    const heir = followers[1] as string;
    await pd.stop(heir);
    await pd.send(leader, "POST", `/pd/api/v1/leader/transfer/${heir}`);
    await until("the old leader", async () => (await pd.leader(signal)) === leader, signal);
  });
});

describe("gRPC", () => {
  test("another cluster's request is refused, and a follower sends callers away", async ({ signal }) => {
    const stores = await joined(1, signal);
    const foreign = stores.call("GetRegion", { header: { cluster_id: "42" }, region_key: Buffer.from("k") }, false);
    await expect(foreign).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    const follower = storesAt(followers[0] as string, signal);
    await expect(follower.call("GetAllStores", {}, false)).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  test("a second store at the same address is refused in PD's words", async ({ signal }) => {
    const stores = await joined(1, signal);
    const { header } = await stores.call<any>("PutStore", {
      store: { id: "999", address: "tikv0:20160", version: "8.5.7" },
    });
    expect(header.error.message).toContain("duplicated store address");
  });

  test("timestamps grow, within a batch and over a change of leader", async ({ signal }) => {
    await joined(1, signal);
    const before = await timestamps(leader, 3, signal);
    await pd.send(leader, "POST", "/pd/api/v1/leader/resign");
    const next = await until(
      "another leader",
      async () => {
        const name = await pd.leader(signal);
        return name !== leader && name;
      },
      signal,
    );
    const all = [...before, ...(await timestamps(next, 3, signal))];
    expect(all).toEqual([...all].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(all).size).toBe(all.length);
  });
});

async function timestamps(name: string, count: number, signal: AbortSignal): Promise<bigint[]> {
  return storesAt(name, signal).timestamps(count, 10);
}
