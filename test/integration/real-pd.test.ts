import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { describeGo, GO_BUILD_TIMEOUT_MS } from "../support/go.ts";
import { realPd, type RealPd } from "../support/real-pd.ts";
import { tikvProcesses, type TikvProcess } from "../support/tikv-processes.ts";

interface Stores {
  readonly stores: readonly {
    readonly store: { readonly id: number; readonly address: string; readonly state_name: string };
    readonly status: { readonly leader_count?: number; readonly region_count?: number };
  }[];
}
interface Regions {
  readonly regions: readonly {
    readonly id: number;
    readonly leader?: { readonly store_id?: number };
    readonly peers: readonly { readonly store_id: number; readonly role_name: string }[];
    readonly pending_peers?: unknown;
  }[];
}

const signal = new AbortController().signal;

describeGo("our stores under a real PD", () => {
  const scope = new AsyncDisposableStack();
  const written = new Map<string, string>();
  let pd: RealPd;
  let stores: readonly TikvProcess[];
  let client: RawClient;

  beforeAll(async () => {
    pd = scope.use(await realPd());
    stores = scope.use(await tikvProcesses({ count: 4, pd: pd.endpoints.join(), timeFactor: 0.2 })).all;
    for (const store of stores.slice(0, 3)) store.start();
    const { endpoints: pdEndpoints } = pd;
    const random = seededRandom("real-pd");
    client = scope.use(new RawClient({ pdEndpoints, advertised: {}, deadlineMs: 5_000, clock: systemClock, random }));
  }, GO_BUILD_TIMEOUT_MS);
  afterAll(async () => await scope.disposeAsync());

  const until = (what: string, holds: () => Promise<boolean>) =>
    waitFor(() => holds().catch(() => false), { clock: systemClock, timeoutMs: 60_000, everyMs: 250, what, signal });
  const regions = async () => ((await pd.ask("regions")) as Regions).regions;
  const storeAt = async (address: string) =>
    ((await pd.ask("stores")) as Stores).stores.find(({ store }) => store.address === address);
  const threeVoters = async () =>
    (await regions()).every(
      ({ peers, leader, pending_peers: pending }) =>
        peers.length === 3 &&
        peers.every(({ role_name: role }) => role === "Voter") &&
        leader?.store_id !== undefined &&
        pending === undefined,
    );
  const write = async (count: number) => {
    for (let at = 0; at < count; at++) {
      const [key, value] = [`${"abcdefgh"[at % 8]}-${written.size}`, `value ${written.size}`];
      if ((await client.put(key, value, signal)).outcome === "ok") written.set(key, value);
    }
  };

  test("bootstrap a cluster, and get the replicas that PD wants by joint consensus", async () => {
    await until("three voters of every region", async () => (await regions()).length > 0 && (await threeVoters()));
    expect(((await pd.ask("stores")) as Stores).stores.map(({ store }) => store.state_name)).toEqual([
      "Up",
      "Up",
      "Up",
    ]);
    await write(100);
    expect(written.size).toBe(100);
  });

  test("split where PD says", async () => {
    const before = (await regions()).length;
    const keys = ["b", "d", "f"].map((key) => Buffer.from(key).toString("hex"));
    const body = JSON.stringify({ split_keys: keys, retry_limit: 5 });
    expect(await pd.ask("regions/split", { method: "POST", body })).toMatchObject({ "processed-percentage": 100 });
    await until("the new regions", async () => (await regions()).length === before + 3);
    await write(40);
  });

  test("give their leaders away when PD evicts them", async () => {
    const from = await storeAt((await leader()).address);
    const name = "evict-leader-scheduler";
    const body = JSON.stringify({ name, store_id: from?.store.id });
    await pd.ask("schedulers", { method: "POST", body });
    const left = async () => (await storeAt(from?.store.address ?? ""))?.status.leader_count ?? 0;
    await until("a store without leaders", async () => (await left()) === 0);
    await pd.ask(`schedulers/${name}`, { method: "DELETE" });
    await write(40);
  });

  test("heartbeat to the next leader of PD", async () => {
    const killed = await pd.killLeader();
    await until("another leader", async () => ((await pd.ask("leader")) as { name: string }).name !== killed);
    await write(40);
    const allUp = async () =>
      ((await pd.ask("stores")) as Stores).stores.every(({ store }) => store.state_name === "Up");
    await until("every store Up", allUp);
  });

  test("are emptied when PD takes one out, its place taken by another", async () => {
    const [leaving, joining] = [stores[0], stores[3]];
    joining?.start();
    await until("the fourth store", async () => (await storeAt(joining?.address ?? ""))?.store.state_name === "Up");
    const id = (await storeAt(leaving?.address ?? ""))?.store.id;
    await pd.ask(`store/${id}`, { method: "DELETE" });
    // Tombstones are not listed.
    await until("a Tombstone", async () => (await storeAt(leaving?.address ?? "")) === undefined);
    await until("three voters of every region", threeVoters);
    expect((await regions()).flatMap(({ peers }) => peers.map(({ store_id: store }) => store))).not.toContain(id);
    await write(40);
  });

  test("have every acknowledged write after all that", async () => {
    expect(written.size).toBeGreaterThan(230);
    for (const [key, value] of written) expect(await client.get(key, signal)).toMatchObject({ outcome: "ok", value });
  });

  async function leader(): Promise<{ readonly address: string }> {
    const id = (await regions())[0]?.leader?.store_id;
    const found = ((await pd.ask("stores")) as Stores).stores.find(({ store }) => store.id === id);
    return { address: found?.store.address ?? "" };
  }
});
