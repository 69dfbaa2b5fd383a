import { describe, expect, it } from "vitest";
import { systemClock } from "../../harness/base/clock.ts";
import { seededRandom } from "../../harness/base/random.ts";
import { waitFor } from "../../harness/base/wait.ts";
import { RawClient } from "../../subjects/tikv/workload/raw-client.ts";
import { startPdCluster } from "../support/pd-cluster.ts";
import { tikvProcesses } from "../support/tikv-processes.ts";

const TIME_FACTOR = 0.1;
const signal = new AbortController().signal;

interface StoreView {
  readonly store: { readonly id: number; readonly address: string; readonly state_name: string };
  readonly status: { readonly region_count?: number };
}

interface RegionView {
  readonly id: number;
  readonly peers: readonly { readonly store_id: number; readonly role_name: string }[];
}

const until = (ask: () => boolean | Promise<boolean>, what: string, timeoutMs = 90_000) =>
  waitFor(ask, { clock: systemClock, timeoutMs, everyMs: 100, what });

/** Every key has one writer, so that the last acknowledged value is what must be there. */
function load(client: RawClient, writers: number) {
  const acknowledged = new Map<string, string>();
  /** May have taken effect, or yet take it. */
  const maybe = new Map<string, Set<string>>();
  let stopped = false;
  const running = Array.from({ length: writers }, async (_, writer) => {
    for (let number = 0; !stopped; number++) {
      const [key, value] = [`${"adgjmpsvy"[writer % 9]}-${writer}-${number % 20}`, `${writer}/${number}`];
      const { outcome } = await client.put(key, value, signal);
      if (outcome === "ok") {
        acknowledged.set(key, value);
        maybe.delete(key);
      } else if (outcome === "unknown") maybe.set(key, (maybe.get(key) ?? new Set()).add(value));
    }
  });
  const stop = async () => {
    stopped = true;
    await Promise.all(running);
    return { acknowledged, maybe };
  };
  return { stop, acknowledged };
}

async function startedUnderPd(stores: number) {
  const scope = new AsyncDisposableStack();
  const pd = scope.use(await startPdCluster({ members: 1, timeFactor: TIME_FACTOR, initialRegions: 6 }));
  const [name] = pd.names;
  if (name === undefined) throw new Error("no PD");
  await pd.leader(signal);
  const endpoint = new URL(pd.urls[name] ?? "").host;
  const processes = scope.use(await tikvProcesses({ count: stores, pd: endpoint, timeFactor: TIME_FACTOR }));
  for (const one of processes.all) one.start();
  const ask = async <T>(path: string) => JSON.parse((await pd.get(name, `/pd/api/v1${path}`)).body) as T;
  const send = (method: string, path: string, body?: unknown) => pd.send(name, method, `/pd/api/v1${path}`, body);
  const regionsNow = async () => (await ask<{ readonly regions: RegionView[] }>("/regions")).regions ?? [];
  const storesNow = async () => (await ask<{ readonly stores: StoreView[] }>("/stores")).stores ?? [];
  const whole = ({ peers }: RegionView) => peers.length === 3 && peers.every(({ role_name }) => role_name === "Voter");
  const complete = async () => {
    const all = await regionsNow();
    return all.length >= 6 && all.every(whole);
  };
  await until(
    async () => (await complete()) && (await storesNow()).length === stores,
    "every region to have three voters",
  );
  const client = scope.use(
    new RawClient({
      pdEndpoints: [endpoint],
      advertised: {},
      deadlineMs: 10_000,
      clock: systemClock,
      random: seededRandom("moves"),
    }),
  );
  const logs = () => processes.all.map((one) => one.log).join("");
  return {
    ask,
    send,
    regionsNow,
    storesNow,
    complete,
    client,
    logs,
    processes: processes.all,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

describe("stores under our own PD", () => {
  it("replicas leave a store by joint consensus under load, and no acknowledged write is lost", async () => {
    await using started = await startedUnderPd(4);
    const { client, storesNow, send, complete, logs } = started;
    const writers = load(client, 9);
    await until(() => writers.acknowledged.size > 100, "clients to be served");
    const [victim] = (await storesNow()).sort((a, b) => (b.status.region_count ?? 0) - (a.status.region_count ?? 0));
    if (victim === undefined) throw new Error("no store");
    expect((await send("DELETE", `/store/${victim.store.id}`)).status).toBe(200);
    await until(async () => (await storesNow()).every(({ store }) => store.id !== victim.store.id), "it to be drained");
    await until(complete, "every region to be whole again");

    const { acknowledged, maybe } = await writers.stop();
    for (const [key, value] of acknowledged) {
      const found = await client.get(key, signal);
      expect([value, ...(maybe.get(key) ?? [])]).toContain(found.value);
    }
    expect(logs()).toContain("[kind=EnterJoint]");
    expect(logs()).toContain("[kind=LeaveJoint]");
    expect(logs()).not.toContain("[FATAL]");
  }, 240_000);

  it("regions that lost two of three replicas for good are led again by the third, with what it knew", async () => {
    await using started = await startedUnderPd(3);
    const { client, storesNow, regionsNow, send, ask, processes } = started;
    for (const key of ["a", "m", "z"]) expect((await client.put(key, `value of ${key}`, signal)).outcome).toBe("ok");
    const [lost, alsoLost] = processes;
    await Promise.all([lost?.kill(), alsoLost?.kill()]);
    const gone = async () =>
      (await storesNow()).filter(({ store }) => store.state_name !== "Up").map(({ store }) => store.id);
    await until(async () => (await gone()).length === 2, "PD to miss them");
    const failed = await gone();
    expect((await send("POST", "/admin/unsafe/remove-failed-stores", { stores: failed, timeout: 600 })).status).toBe(
      200,
    );
    const shown = async () => JSON.stringify(await ask("/admin/unsafe/remove-failed-stores/show"));
    await until(async () => /Unsafe recovery (Finished|Failed)/.test(await shown()), "the recovery to end");
    expect(await shown()).toContain("Unsafe recovery Finished");
    for (const key of ["a", "m", "z"]) {
      expect((await client.get(key, signal)).value).toBe(`value of ${key}`);
      expect((await client.put(key, "again", signal)).outcome).toBe("ok");
    }
    const voters = (region: RegionView) => region.peers.filter(({ role_name }) => role_name === "Voter");
    const survivors = (await regionsNow()).flatMap((region) => voters(region).map(({ store_id }) => store_id));
    expect(survivors.some((id) => failed.includes(id))).toBe(false);
  }, 240_000);
});
