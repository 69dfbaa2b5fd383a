import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { tikvConfig } from "../../subjects/tikv/embedded.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { startPdCluster, type PdCluster } from "../support/pd-cluster.ts";
import { tikvProcesses, type TikvProcess } from "../support/tikv-processes.ts";

/** PD with real stores: what it orders is carried out by processes that keep data. */
const TIME_FACTOR = 0.1;
const KEYS = Array.from({ length: 32 }, (_, n) => `k${n.toString(16).padStart(2, "0")}`);

let scope: AsyncDisposableStack;
let pd: PdCluster;
let processes: readonly TikvProcess[];
let client: RawClient;

beforeEach(async ({ signal }) => {
  scope = new AsyncDisposableStack();
  pd = scope.use(await startPdCluster({ members: 1, timeFactor: TIME_FACTOR }));
  await pd.leader(signal);
  const pdUrl = new URL(pd.urls["pd0"] as string).host;
  const config = tikvConfig.replace("[raftstore]\n", '[raftstore]\nmax-peer-down-duration = "1m"\n');
  const stores = scope.use(await tikvProcesses({ count: 4, pd: pdUrl, timeFactor: TIME_FACTOR, config }));
  processes = stores.all;
  client = scope.use(
    new RawClient({
      pdEndpoints: [pdUrl],
      advertised: {},
      deadlineMs: 5_000,
      clock: systemClock,
      random: seededRandom(1),
    }),
  );
});
afterEach(() => scope.disposeAsync());

const get = async (path: string) => JSON.parse((await pd.get("pd0", `/pd/api/v1${path}`)).body) as any;
const post = (path: string, body: unknown) => pd.send("pd0", "POST", `/pd/api/v1${path}`, body);

async function until<T>(what: string, ask: () => Promise<T | false>, signal: AbortSignal): Promise<T> {
  return waitFor(() => ask().catch(() => false as const), {
    clock: systemClock,
    timeoutMs: 60_000,
    everyMs: 50,
    what,
    signal,
  });
}

interface Store {
  readonly store: { readonly id: number; readonly address: string; readonly state_name: string };
  readonly status: { readonly leader_count: number; readonly region_count: number };
}
const stores = async (): Promise<Store[]> => (await get("/stores")).stores;
const storeOf = async (one: TikvProcess): Promise<Store> =>
  (await stores()).find(({ store }) => store.address === one.address) as Store;

/** Every region has three voters on stores that live, and nothing is under way. */
async function settled(): Promise<boolean> {
  const { regions } = await get("/regions");
  const whole = regions.every((region: any) => region.peers.length === 3 && region.peers.every((p: any) => !p.role));
  return regions.length >= 12 && whole && (await get("/operators")).length === 0;
}

async function started(count: number, signal: AbortSignal): Promise<void> {
  for (const one of processes.slice(0, count)) one.start();
  await until("three voters everywhere", settled, signal);
}

async function write(signal: AbortSignal): Promise<void> {
  for (const key of KEYS) expect(await client.put(key, `value of ${key}`, signal)).toMatchObject({ outcome: "ok" });
}

async function readsBack(signal: AbortSignal): Promise<void> {
  for (const key of KEYS) {
    const { value } = await until(
      `an answer for ${key}`,
      async () => {
        const answer = await client.get(key, signal);
        return answer.outcome === "ok" && answer;
      },
      signal,
    );
    expect(value).toBe(`value of ${key}`);
  }
}

describe("real stores", () => {
  test("a fourth store takes its share of regions and leaders, by joint consensus, and data stay", async ({
    signal,
  }) => {
    await started(3, signal);
    await write(signal);
    processes[3]?.start();
    await until(
      "even stores",
      async () => {
        const all = await stores();
        const even = (of: (s: Store) => number, within: number) =>
          Math.max(...all.map(of)) - Math.min(...all.map(of)) <= within;
        return all.length === 4 && even((s) => s.status.region_count, 2) && even((s) => s.status.leader_count, 1);
      },
      signal,
    );
    const moved = ((await get("/operators/records")) as string[]).find((text) => text.startsWith("balance-region"));
    expect(moved).toMatch(/0:\{add learner peer \d+ on store \d+\}/);
    expect(moved).toMatch(/use joint consensus, promote learner peer \d+ on store \d+ to voter, demote voter peer/);
    expect(moved).toMatch(/leave joint state, .*remove peer on store \d+\}\], timeout:\[\d+m0s\]\) finished/);
    await readsBack(signal);
  });

  test("leader weight 0 drains one store of leaders, and region limits of 0 let nothing move", async ({ signal }) => {
    await started(3, signal);
    await post("/config", { "region-schedule-limit": 0 });
    processes[3]?.start();
    await until("a fourth store", async () => (await stores()).length === 4, signal);
    const victim = (await storeOf(processes[0] as TikvProcess)).store.id;
    await post(`/store/${victim}/weight`, { leader: 0, region: 1 });
    await until("no leaders", async () => (await get(`/store/${victim}`)).status.leader_count === 0, signal);
    expect((await storeOf(processes[3] as TikvProcess)).status.region_count).toBe(0);
    await post("/config", { "region-schedule-limit": 2048 });
    await until(
      "regions on the fourth",
      async () => (await storeOf(processes[3] as TikvProcess)).status.region_count > 0,
      signal,
    );
  });

  test("regions are split at keys and small ones merged again, with their data and without a lost write", async ({
    signal,
  }) => {
    await started(3, signal);
    await write(signal);
    const before = (await get("/regions")).count;
    // It counts from the split, with what it was then.
    expect((await post("/config", { "split-merge-interval": "20s" })).status).toBe(200);
    const hex = (key: string) => Buffer.from(key).toString("hex");
    const { body } = await post("/regions/split", { split_keys: [hex("k05"), hex("k11")], retry_limit: 3 });
    expect(JSON.parse(body)).toMatchObject({ "processed-percentage": 100 });
    await until("both parts", async () => (await get("/regions")).count === before + 2, signal);
    await readsBack(signal);
    await until(
      "merged",
      async () => {
        for (const key of KEYS) await client.put(key, `value of ${key}`, signal);
        return (await get("/regions")).count === before && settled();
      },
      signal,
    );
    const records = ((await get("/operators/records")) as string[]).filter((text) => text.startsWith("merge-region"));
    expect(records.some((text) => /merge region \d+ into region \d+\}\], .* finished/.test(text))).toBe(true);
    await readsBack(signal);
  });

  test("an Offline store is drained and buried; one that is Down is replaced; its data are elsewhere", async ({
    signal,
  }) => {
    await started(4, signal);
    await write(signal);
    const [leaving, dead] = [processes[0] as TikvProcess, processes[1] as TikvProcess];
    const { id } = (await storeOf(leaving)).store;
    expect((await pd.send("pd0", "DELETE", `/pd/api/v1/store/${id}`)).status).toBe(200);
    await until("Tombstone", async () => (await get(`/store/${id}`)).store.state_name === "Tombstone", signal);
    await readsBack(signal);

    // A tombstone's process comes back as a new store at the same address only without its data: the fourth is enough.
    await post("/config", { "max-store-down-time": "1m0s" });
    const down = (await storeOf(dead)).store.id;
    await dead.kill();
    await until("Down", async () => (await get(`/store/${down}`)).store.state_name === "Down", signal);
    await until(
      "nobody to replace it",
      async () =>
        /name="no-store-replace",type="rule_checker"\} [1-9]/.test((await pd.get("pd0", "/metrics")).body) ||
        /type="rule_checker",name="no-store-replace"\} [1-9]/.test((await pd.get("pd0", "/metrics")).body),
      signal,
    );
    leaving.signal("SIGKILL");
    await leaving.exited();
    leaving.with({ "data-dir": `${leaving.dataDir}-new` }).start();
    scope.defer(async () => {
      await pd.send("pd0", "DELETE", "/pd/api/v1/stores/remove-tombstone");
    });
    await until(
      "replicas moved off the dead store",
      async () => (await get(`/regions/store/${down}`)).count === 0 && settled(),
      signal,
    );
    await readsBack(signal);
  });

  test("two of three stores lost for good: unsafe recovery makes the survivor writable", async ({ signal }) => {
    await started(3, signal);
    await write(signal);
    const [a, b] = [processes[0] as TikvProcess, processes[1] as TikvProcess];
    const lost = [(await storeOf(a)).store.id, (await storeOf(b)).store.id];
    const path = "/admin/unsafe/remove-failed-stores";
    expect(await post(path, { stores: lost })).toMatchObject({
      status: 500,
      body: expect.stringContaining("is up and"),
    });
    await Promise.all([a.kill(), b.kill()]);
    await until(
      "both silent",
      async () => (await stores()).filter(({ store }) => store.state_name === "Disconnected").length === 2,
      signal,
    );
    expect((await post(path, { stores: lost, timeout: 300 })).body).toBe('"Request has been accepted."\n');
    for (const id of lost) expect((await get(`/store/${id}`)).store.state_name).toBe("Tombstone");
    await until("the end", async () => JSON.stringify(await get(`${path}/show`)).includes("Finished"), signal);
    const infos = (await get(`${path}/show`)).map(({ info }: { info: string }) => info);
    expect(infos).toEqual([
      "Unsafe recovery enters collect report stage",
      "Unsafe recovery enters force leader stage",
      "Unsafe recovery enters demote Failed voter stage",
      "Unsafe recovery enters exit force leader stage",
      "Unsafe recovery Finished",
    ]);
    await until("a write", async () => (await client.put("k00", "new", signal)).outcome === "ok", signal);
    for (const key of KEYS) expect((await client.put(key, "again", signal)).outcome).toBe("ok");
    // PD has forgotten them all, and learns them from their heartbeats.
    await until("all regions", async () => (await get("/regions")).count >= 12, signal);
    const { regions } = await get("/regions");
    const voters = regions.map((region: any) => region.peers.filter((peer: any) => !peer.role).length);
    expect(new Set(voters)).toEqual(new Set([1]));
  });
});
